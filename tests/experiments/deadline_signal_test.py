"""Tests of tfquarl/experiments/deadline_signal.py."""

import time

from tfquarl.experiments import deadline_signal


def test_is_set_from_its_moment_on():
    now = [1.0]
    signal = deadline_signal.DeadlineSignal(2.0, clock=lambda: now[0])
    assert not signal.is_set()
    now[0] = 2.0
    assert signal.is_set() and signal.wait()


def test_wait_ends_at_its_timeout_or_at_the_moment():
    far = deadline_signal.DeadlineSignal(time.perf_counter() + 3600)
    assert not far.wait(0.01)
    assert deadline_signal.DeadlineSignal(time.perf_counter() + 0.01).wait(3600)
