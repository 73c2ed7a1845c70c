"""Tests of the rows that benchmarks make of their measurements."""

import pytest

from tfquarl.core import errors
from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import collection_benchmark
from tfquarl.experiments import inference_benchmark
from tfquarl.experiments import learner_benchmark
from tfquarl.experiments import startup_benchmark


def test_learner_rows_by_hand():
    measurement = alternation.Measurement(
        {
            "TF-Agents": [alternation.Slice(10, 1.0, 1.0, wait_sec=0.5)] * 2,
            "float32": [alternation.Slice(30, 1.0, 1.0, wait_sec=0.25)] * 2,
            "matrix products float32": [alternation.Slice(6 * 10**9, 1.0, 1.0)] * 2,
        }
    )
    rows = learner_benchmark.make_rows("task", measurement, {"float32": 10**8}, [""])
    values = {(row.case, row.metric): (row.value, row.unit) for row in rows}
    assert values["task TF-Agents", "train steps per second"] == (10, "1/s")
    assert values["task TF-Agents", "time waiting for data"] == (50, "%")
    assert values["task float32", "train steps per second"] == (30, "1/s")
    assert values["task float32", "floating-point rate"] == (pytest.approx(3.0), "GFLOP/s")
    assert values["task float32", "share of the matrix products' rate"] == (pytest.approx(50.0), "%")
    assert values["task float32", "time waiting for data"] == (25, "%")
    assert values["task float32", "speed over TF-Agents"] == (3, "x")


def test_start_up_loads_become_rows():
    load = startup_benchmark.Load(8, 1000.0, 0.5, 3 << 20, 5 << 20)
    rows = {row.metric: row.value for row in startup_benchmark.load_rows("case", [load])}
    assert rows["steps per second, all together"] == 1000
    assert rows["cores busy with the Reverb server"] == 0.5
    assert rows["memory of the Reverb server"] == 3
    assert rows["memory of all processes"] == 5


@pytest.mark.parametrize("counts", [(3,), (8, 8), (16, 8)], ids=["not more than started", "twice", "shrinking"])
def test_collectors_must_grow(counts: tuple[int, ...]):
    with pytest.raises(errors.ConfigError, match="need to grow"):
        startup_benchmark.StartupConfig(
            benchmark_task.BenchmarkTask("gym:CartPole-v1"), num_starts=3, num_collectors=counts
        )


def test_weight_bytes_by_recipe():
    task = benchmark_task.BenchmarkTask("gym:CartPole-v1", (8, 8))
    count = 4 * 8 + 8 * 8 + 8 * 2
    assert inference_benchmark.weight_bytes(task, "static_wi8_ai8") == count
    assert inference_benchmark.weight_bytes(task, "float32") == 4 * count
    assert inference_benchmark.weight_bytes(task, "float16") == 4 * count  # widened when it is loaded


def test_arm_names():
    assert collection_benchmark.arm_name("float32", 1) == "float32"
    assert collection_benchmark.arm_name("float32", 8) == "float32 K=8"
