"""Tests of experiments.conversion_benchmark: the smallest one, and its arithmetic."""

import pytest

from tfquarl.experiments import benchmark_task
from tfquarl.experiments import conversion_arm
from tfquarl.experiments import conversion_benchmark


def test_rows_by_hand():
    compared = [(0.001, 0.3, True), (0.003, 0.4, True), (0.002, 0.2, True), (0.002, 0.3, False)]
    rows = conversion_benchmark.make_rows(
        "case",
        2.5,
        0.5,
        [conversion_arm.Comparison(a, b, a / 2, b / 4, equal, 2 * b, b, not equal, 2 * a) for a, b, equal in compared],
    )
    figures = {row.metric: (row.value, row.unit) for row in rows}
    assert figures == {
        "snapshot to model": (pytest.approx(2.0), "ms"),
        "snapshot to model by TFLiteConverter": (pytest.approx(300.0), "ms"),
        "times faster than TFLiteConverter": (pytest.approx(150.0), "x"),
        "processor time": (pytest.approx(1.0), "ms"),
        "variables prepared before": (pytest.approx(4.0), "ms"),
        "processor time of TFLiteConverter": (pytest.approx(75.0), "ms"),
        "times less processor time than TFLiteConverter": (pytest.approx(75.0), "x"),
        "snapshot to model by from_keras_model": (pytest.approx(600.0), "ms"),
        "times faster than from_keras_model": (pytest.approx(300.0), "x"),
        "processor time of from_keras_model": (pytest.approx(300.0), "ms"),
        "times less processor time than from_keras_model": (pytest.approx(300.0), "x"),
        "dense layers equal from_keras_model's": (25.0, "%"),
        "models equal byte for byte": (75.0, "%"),
        "extra memory, float model is 1": (0.5, "x"),
        "template, once": (2.5, "s"),
    }


def test_smallest_benchmark():
    task = benchmark_task.BenchmarkTask("gym:CartPole-v1", (8,))
    config = conversion_benchmark.ConversionConfig((task,), ("static_wi8_ai8",), num_observations=4, num_snapshots=2)
    figures = {row.metric: row.value for row in conversion_benchmark.run(config)}
    assert figures["models equal byte for byte"] == 100.0
    assert figures["dense layers equal from_keras_model's"] == 100.0
    assert all(value > 0 for value in figures.values())


@pytest.mark.parametrize("changes", [{"num_observations": 0}, {"num_snapshots": 0}])
def test_nothing_to_measure_is_refused(changes: dict[str, int]):
    with pytest.raises(ValueError, match="needs one of each"):
        conversion_benchmark.ConversionConfig(**changes)
