"""Runs pytest the way `bazel test` asks for it."""

import os
import sys

import pytest

# The same examples each time, because Bazel keeps results; no deadline, because a busy machine is no failure.
_HYPOTHESIS = ["--hypothesis-profile=ci"]

# tf_agents and tensorflow_probability give it at each import; nobody here can mend it.
_FOREIGN_WARNINGS = ["-W", "ignore:distutils Version classes are deprecated:DeprecationWarning"]


class _Shard:
    """Keeps every TEST_TOTAL_SHARDS-th test, for py_test's shard_count."""

    def __init__(self, index, total):
        self._index, self._total = index, total

    def pytest_collection_modifyitems(self, config, items):
        kept = items[self._index :: self._total]
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept


def main(argv):
    env = os.environ
    args = ["-p", "no:cacheprovider", "--import-mode=importlib", "-rfE", *_HYPOTHESIS, *_FOREIGN_WARNINGS, *argv]
    plugins = []
    if env.get("XML_OUTPUT_FILE"):
        args.append("--junitxml=" + env["XML_OUTPUT_FILE"])
    if env.get("TEST_TMPDIR"):
        env["HOME"] = env["TEST_TMPDIR"]  # the real one is read-only in the sandbox
        env["HYPOTHESIS_STORAGE_DIRECTORY"] = os.path.join(env["TEST_TMPDIR"], "hypothesis")
        args.append("--basetemp=" + os.path.join(env["TEST_TMPDIR"], "pytest"))
    if env.get("TESTBRIDGE_TEST_ONLY"):  # --test_filter=EXPRESSION
        args += ["-k", env["TESTBRIDGE_TEST_ONLY"]]
    total = int(env.get("TEST_TOTAL_SHARDS", "1"))
    if total > 1:
        plugins.append(_Shard(int(env["TEST_SHARD_INDEX"]), total))
        if env.get("TEST_SHARD_STATUS_FILE"):
            open(env["TEST_SHARD_STATUS_FILE"], "w").close()
    status = pytest.main(args, plugins=plugins)
    nothing_left = status == pytest.ExitCode.NO_TESTS_COLLECTED
    return 0 if nothing_left and (total > 1 or env.get("TESTBRIDGE_TEST_ONLY")) else int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
