"""Tests of tfquarl/experiments/swap_benchmark.py."""

import pytest

from tfquarl.experiments import swap_benchmark


def test_only_swaps_that_changed_the_policy_are_noted():
    times = iter([1.0, 1.5, 2.0, 3.0, 3.2])  # the end of a swap that changed nothing is not looked at
    recorder = swap_benchmark.SwapRecorder(clock=lambda: next(times))
    results = iter([True, False, True])
    swap = recorder.wrap("swap", lambda: next(results))
    assert [swap(), swap(), swap()] == [True, False, True]
    assert recorder.swap_sec == pytest.approx([0.5, 0.2])


def test_steps_last_from_start_to_start():
    times = iter([1.0, 1.25, 2.0])
    recorder = swap_benchmark.SwapRecorder(clock=lambda: next(times))
    step = recorder.wrap("environment", lambda action: action)
    assert [step(7), step(8), step(9)] == [7, 8, 9]
    assert recorder.step_sec.tolist() == [0.25, 0.75]


def test_other_parts_are_left_alone():
    assert swap_benchmark.SwapRecorder().wrap("write", len) is len


def test_rows_tell_the_busy_part_from_the_quiet_one():
    quiet = {"swap": [9.0], "step": [0.001] * 10}
    busy = {"swap": [9.0, 0.002, 0.004], "step": [0.001] * 10 + [0.003] * 10}
    rows = {row.metric: row.value for row in swap_benchmark.make_rows("case", quiet, busy)}
    assert rows["policies swapped in"] == 2
    assert rows["swap, longest"] == pytest.approx(4.0)
    assert rows["step while none comes, 99 % are shorter"] == pytest.approx(1.0)
    assert rows["step while policies come, 99 % are shorter"] == pytest.approx(3.0)


def test_no_swap_is_no_figure():
    rows = swap_benchmark.make_rows("case", {"swap": [], "step": [1.0]}, {"swap": [], "step": [1.0, 1.0]})
    assert [row.value for row in rows if row.metric == "policies swapped in"] == [0]
    assert not any(row.metric.startswith("swap,") for row in rows)
