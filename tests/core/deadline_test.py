"""Tests of tfquarl.core.deadline."""

import threading

import pytest

from tfquarl.core import deadline
from tfquarl.core import errors


def test_gives_the_result():
    assert deadline.Caller(10).call("adding", lambda a, b: a + b, 1, 2) == 3


def test_raises_what_the_call_raises():
    def refuse() -> None:
        raise KeyError("x")

    caller = deadline.Caller(10)
    with pytest.raises(KeyError, match="x"):
        caller.call("refusing", refuse)
    assert caller.call("going on", lambda: 1) == 1


def test_late_call_raises_and_names_itself():
    release = threading.Event()
    with pytest.raises(errors.RemoteTimeoutError, match=r"polling x: no answer within 0.01 s"):
        deadline.Caller(0.01).call("polling x", release.wait)
    release.set()


def test_next_call_waits_for_the_late_one():
    release, order = threading.Event(), []
    caller = deadline.Caller(0.05)

    def slow() -> None:
        release.wait(20)
        order.append("slow")

    with pytest.raises(errors.RemoteTimeoutError):
        caller.call("slow", slow)
    with pytest.raises(errors.RemoteTimeoutError):
        caller.call("fast", order.append, "never made")
    release.set()
    patient = True
    while patient:
        try:
            caller.call("fast", order.append, "fast")
            patient = False
        except errors.RemoteTimeoutError:
            continue
    assert order == ["slow", "fast"]


def test_dead_server_costs_one_thread():
    release = threading.Event()
    caller = deadline.Caller(0.01)
    for _ in range(3):
        with pytest.raises(errors.RemoteTimeoutError):
            caller.call("waiting", release.wait)
    threads = [thread for thread in threading.enumerate() if thread is caller._thread]
    assert len(threads) == 1 and threads[0].daemon
    release.set()


def test_stop_signal_ends_the_wait():
    stop, release = threading.Event(), threading.Event()
    stop.set()
    with pytest.raises(deadline.StoppedError):
        deadline.Caller(60, stop).call("waiting", release.wait)
    release.set()


def test_wait_tells_whether_it_came():
    done = threading.Event()
    assert not deadline.wait(done, 0.01, None)
    done.set()
    assert deadline.wait(done, 0.0, None)
