"""Tests of tfquarl/experiments/alternation.py."""

import pytest

from tfquarl.experiments import alternation


class _Arm:
    """Notes its turns; each of its slices is twice as fast as the one before."""

    def __init__(self, name: str, turns: list[str], rate: float) -> None:
        self._name, self._turns, self._rate = name, turns, rate

    def run(self, duration_sec: float) -> alternation.Slice:
        self._turns.append(self._name)
        rate, self._rate = self._rate, 2 * self._rate
        return alternation.Slice(int(rate * duration_sec), duration_sec, duration_sec / 2)


def test_no_arm_always_follows_the_same_one():
    turns: list[str] = []
    arms = {name: _Arm(name, turns, 100.0) for name in "abc"}
    alternation.alternate(arms, num_rounds=4, slice_sec=1.0)
    assert "".join(turns) == "abc" + "bca" + "cab" + "abc"


def test_a_lead_in_is_not_counted():
    turns: list[str] = []
    measurement = alternation.alternate({"a": _Arm("a", turns, 100.0)}, 2, 1.0, lead_in_sec=0.5)
    assert turns == ["a"] * 4 and measurement.rates("a") == [200.0, 800.0]


def test_rates_and_processor_time_per_count():
    measurement = alternation.alternate({"a": _Arm("a", [], 100.0)}, num_rounds=3, slice_sec=2.0)
    assert measurement.rates("a") == [100.0, 200.0, 400.0]
    assert measurement.cpu_us("a") == [5000.0, 2500.0, 1250.0]
    assert [piece.count for piece in measurement.slices("a")] == [200, 400, 800]


def test_ratio_is_of_the_medians():
    turns: list[str] = []
    arms = {"fast": _Arm("fast", turns, 300.0), "slow": _Arm("slow", turns, 100.0)}
    row = alternation.alternate(arms, num_rounds=3, slice_sec=1.0).ratio("case", "speed over slow", "fast", "slow")
    assert (row.case, row.metric, row.value, row.unit) == ("case", "speed over slow", 3.0, "x")
    assert (row.low, row.high) == pytest.approx((3.0, 3.0))  # each pair has it


def test_median_row_has_the_quartiles():
    row = alternation.median_row("case", "time", [1.0, 2.0, 3.0, 4.0, 100.0], "s")
    assert (row.value, row.low, row.high, row.unit) == (3.0, 2.0, 4.0, "s")


@pytest.mark.parametrize(("num_rounds", "slice_sec"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_nothing_can_be_measured_in_no_time(num_rounds: int, slice_sec: float):
    with pytest.raises(ValueError, match="needs at least one round of a positive time"):
        alternation.alternate({}, num_rounds, slice_sec)
