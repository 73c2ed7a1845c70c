"""Tests of `tfquarl.program.heartbeat`."""

import multiprocessing
import threading

from tfquarl.program import channel
from tfquarl.program import heartbeat

_PATIENCE_SEC = 60


def test_a_watched_stop_is_a_stop_signal():
    stop = heartbeat.WatchedStop()
    assert not stop.is_set() and not stop.wait(0.0)
    stop.set()
    assert stop.is_set() and stop.wait() and stop.wait(0.0)


def test_a_wait_ends_when_the_signal_comes():
    stop = heartbeat.WatchedStop()
    threading.Timer(0.01, stop.set).start()
    assert stop.wait(_PATIENCE_SEC)


def test_only_looks_of_its_own_thread_count():
    stop = heartbeat.WatchedStop()
    other = threading.Thread(target=stop.is_set)
    other.start()
    other.join()
    assert stop.num_looks == 0
    stop.is_set()
    assert stop.num_looks == 1


def test_a_thread_that_waits_long_is_alive():
    stop = heartbeat.WatchedStop()
    stop.wait(0.02)
    assert stop.num_looks > 0


def test_a_sign_of_life_is_sent_for_a_look_and_none_without():
    ours, theirs = multiprocessing.Pipe(duplex=False)
    stop = heartbeat.WatchedStop()
    stop.is_set()
    heartbeat.send_from(stop, channel.Sender(theirs), period_sec=0.01)
    assert ours.poll(_PATIENCE_SEC)
    assert [message.kind for message in channel.receive(ours) or []] == ["alive"]
    assert not ours.poll(0.1)
    stop.is_set()
    assert ours.poll(_PATIENCE_SEC)


def test_who_is_not_heard_of_is_overdue():
    now = [0.0]
    deadlines = heartbeat.Deadlines(10.0, lambda: now[0])
    deadlines.heard("a")
    deadlines.heard("b")
    now[0] = 10.0
    deadlines.listen()
    assert deadlines.overdue() == []
    deadlines.heard("a")
    now[0] = 11.0
    deadlines.listen()
    assert deadlines.overdue() == ["b"]
    deadlines.forget("b")
    assert deadlines.overdue() == []


def test_a_launcher_that_was_held_up_since_it_listened_makes_nobody_overdue():
    now = [0.0]
    deadlines = heartbeat.Deadlines(10.0, lambda: now[0])
    deadlines.heard("a")
    deadlines.listen()
    now[0] = 100.0
    assert deadlines.overdue() == []
    deadlines.listen()
    assert deadlines.overdue() == ["a"]
