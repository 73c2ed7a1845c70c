"""Tests of `tfquarl.metrics.stopwatch`."""

import time

import pytest

from tfquarl.metrics import stopwatch


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

    monkeypatch.setattr(time, "perf_counter", lambda: Clock.now)
    return Clock


def test_laps_are_added_up_by_name(clock):
    watch = stopwatch.Stopwatch()
    for now, name in [(1.0, "inference"), (4.0, "environment"), (4.5, "inference"), (6.0, "write")]:
        clock.now = now
        watch.lap(name)

    assert watch.breakdown() == {"inference": 1.5, "environment": 3.0, "write": 1.5}
    assert list(watch.breakdown()) == ["inference", "environment", "write"]
    assert watch.shares() == {"inference": 0.25, "environment": 0.5, "write": 0.25}


def test_time_before_start_belongs_to_nothing(clock):
    watch = stopwatch.Stopwatch()
    clock.now = 5.0
    watch.start()
    clock.now = 6.0
    watch.lap("a")

    assert watch.breakdown() == {"a": 1.0}


def test_reset_forgets(clock):
    watch = stopwatch.Stopwatch()
    clock.now = 5.0
    watch.lap("a")
    watch.reset()
    assert watch.breakdown() == watch.shares() == {}

    clock.now = 7.0
    watch.lap("b")
    assert watch.breakdown() == {"b": 2.0}
