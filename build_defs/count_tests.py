#!/usr/bin/env python3
"""Counts the test cases of one `bazel test`, from its build event file.

    bazel test //... --build_event_json_file=events.json
    python3 build_defs/count_tests.py events.json

The last line is 'N passed, N failed' (and ', N skipped' if any).
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def results(events):
    """The last attempt's status and XML path, by label, run and shard."""
    found = {}
    for line in events:
        event = json.loads(line)
        key = event.get("id", {}).get("testResult")
        if not key or "testResult" not in event:
            continue
        result = event["testResult"]
        xml = [o["uri"] for o in result.get("testActionOutput", []) if o["name"] == "test.xml"]
        place = (key["label"], key.get("run", 1), key.get("shard", 1))
        found[place] = (result["status"], urllib.parse.unquote(urllib.parse.urlparse(xml[0]).path) if xml else None)
    return found


def count(status, path):
    """Passed, failed and skipped test cases of one test action."""
    cases = list(ElementTree.parse(path).iter("testcase")) if path else []
    failed = sum(any(c.find(tag) is not None for tag in ("failure", "error")) for c in cases)
    skipped = sum(c.find("skipped") is not None or c.get("status") == "notrun" for c in cases)
    if status != "PASSED" and not failed:  # a timeout or a crash: it named no case
        failed = 1
    return max(len(cases) - failed - skipped, 0), failed, skipped


def main(argv):
    totals = [0, 0, 0]
    with open(argv[1], encoding="utf-8") as events:
        for place, (status, path) in sorted(results(events).items()):
            passed, failed, skipped = counts = count(status, path)
            totals = [a + b for a, b in zip(totals, counts)]
            print(f"{status:<10} {place[0]}: {passed} passed, {failed} failed, {skipped} skipped")
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))


if __name__ == "__main__":
    main(sys.argv)
