"""Tests of tfquarl/experiments/breakdown.py."""

import pytest

from tfquarl.experiments import breakdown


class _Clock:
    """Seconds that pass when somebody says so, and one millionth at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


def test_parts_get_their_time_less_what_timing_costs():
    clock = _Clock()
    timer = breakdown.PartTimer(clock)
    step = timer.timed("environment", lambda: clock.spend(0.010))
    write = timer.timed("write", lambda: clock.spend(0.002))
    start = clock.now
    for _ in range(4):
        step()
        write()
        clock.spend(0.001)
    parts = timer.breakdown_us(clock.now - start, count=4)
    assert list(parts) == list(breakdown.PARTS)
    # A timed call looks at the clock twice: one look falls inside its part, one outside of all.
    assert parts["environment"] == pytest.approx(10_000, abs=0.1)
    assert parts["write"] == pytest.approx(2_000, abs=0.1)
    assert parts["rest"] == pytest.approx(1_000, abs=0.1)
    assert parts["inference"] == 0


def test_two_functions_of_one_part_share_its_time():
    clock = _Clock()
    timer = breakdown.PartTimer(clock)
    for seconds in (0.003, 0.004):
        timer.timed("write", lambda seconds=seconds: clock.spend(seconds))()
    assert timer.breakdown_us(0.007, count=1)["write"] == pytest.approx(7_000, abs=0.1)


def test_results_and_arguments_pass_through():
    timer = breakdown.PartTimer()
    assert timer.timed("inference", lambda a, b: a + b)(2, 3) == 5


def test_reset_forgets():
    clock = _Clock()
    timer = breakdown.PartTimer(clock)
    timer.timed("swap", lambda: clock.spend(1.0))()
    timer.reset()
    assert timer.breakdown_us(0.0, count=1)["swap"] == 0
