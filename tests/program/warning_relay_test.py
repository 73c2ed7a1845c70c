"""Tests of `tfquarl.program.warning_relay`."""

import logging
import threading

import pytest

from tfquarl.program import warning_relay


class _Sender:
    def __init__(self):
        self.sent = []

    def send(self, kind, **body):
        self.sent.append((kind, body))


def _record(level=logging.WARNING, path=warning_relay.__file__, line=7, text="a %s", *arguments):
    return logging.LogRecord("absl", level, path, line, text, arguments or ("policy",), None)


@pytest.mark.parametrize(
    ("record", "sent"),
    [
        pytest.param(_record(), ["a policy"], id="warning"),
        pytest.param(_record(logging.ERROR), ["a policy"], id="error"),
        pytest.param(_record(logging.INFO), [], id="info"),
        pytest.param(_record(text="two\nlines %s"), ["two lines policy"], id="lines"),
        pytest.param(_record(path="/usr/lib/python3/tf_agents/agent.py"), [], id="of_another_package"),
    ],
)
def test_what_reaches_the_console(record, sent):
    sender = _Sender()
    logger = logging.Logger("root")
    logger.addHandler(warning_relay.WarningRelay(sender, threading.Event()))
    logger.handle(record)
    assert sender.sent == [("warning", {"text": text}) for text in sent]


def test_what_comes_again_and_again_is_told_three_times():
    sender = _Sender()
    relay = warning_relay.WarningRelay(sender, threading.Event())
    for name in ("first", "second", "third", "fourth"):
        relay.handle(_record(logging.WARNING, warning_relay.__file__, 1, "%s", name))
    relay.handle(_record(line=2))
    assert [body["text"] for _, body in sender.sent] == [
        "first",
        "second",
        "third; further ones like it are in its log alone",
        "a policy",
    ]


def test_what_a_node_says_while_it_ends_stays_in_its_log():
    sender, stop = _Sender(), threading.Event()
    stop.set()
    warning_relay.WarningRelay(sender, stop).handle(_record())
    assert sender.sent == []
