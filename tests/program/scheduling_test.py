"""Tests of tfquarl/program/scheduling.py."""

from collections.abc import Callable
import os
import threading

import pytest

from tfquarl.program import scheduling


def _in_a_thread(function: Callable[[], None]) -> None:
    """Runs it where it changes nothing of this process."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def test_the_thread_and_those_that_it_starts_yield_to_running_ones():
    def check() -> None:
        scheduling.prefer_throughput()
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
        inherited: list[int] = []
        child = threading.Thread(target=lambda: inherited.append(os.sched_getscheduler(0)))
        child.start()
        child.join()
        assert inherited == [os.SCHED_BATCH]

    _in_a_thread(check)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_system_that_forbids_it_is_no_error(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    scheduling.prefer_throughput()


def test_a_system_without_it_is_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "SCHED_BATCH")
    scheduling.prefer_throughput()
