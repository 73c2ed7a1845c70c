"""Tests of `tfquarl.metrics.logger`."""

import resource

import pytest
from tensorboard.backend.event_processing import event_accumulator

from tfquarl.core import errors
from tfquarl.metrics import jsonl
from tfquarl.metrics import logger


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _scalars(directory, tag):
    accumulator = event_accumulator.EventAccumulator(str(directory))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_a_row_goes_to_metrics_jsonl_and_to_its_groups_event_file(tmp_path):
    clock = _Clock()
    with logger.RunMetrics(tmp_path, clock=clock) as metrics:
        clock.now = 102.5
        metrics.write("train", 10, {"Losses/loss": 0.5})
        metrics.write("collect/1", 300, {"Metrics/AverageReturn": 20.0})

    assert list(jsonl.read_rows(tmp_path / "metrics.jsonl")) == [
        jsonl.MetricRow(2.5, "train", 10, {"Losses/loss": 0.5}),
        jsonl.MetricRow(2.5, "collect/1", 300, {"Metrics/AverageReturn": 20.0}),
    ]
    assert _scalars(tmp_path / "train", "Losses/loss") == [(10, 0.5)]
    assert _scalars(tmp_path / "collect" / "1", "Metrics/AverageReturn") == [(300, 20.0)]


def test_event_files_are_flushed_after_the_interval(tmp_path):
    clock = _Clock()
    with logger.RunMetrics(tmp_path, flush_interval_sec=2.0, clock=clock) as metrics:
        metrics.write("eval", 1, {"a": 1.0})
        clock.now += 2.0
        metrics.write("train", 1, {"b": 1.0})

        assert _scalars(tmp_path / "eval", "a") == [(1, 1.0)]


def test_time_of_a_resumed_run_counts_on(tmp_path):
    for _ in range(2):
        clock = _Clock()
        with logger.RunMetrics(tmp_path, clock=clock) as metrics:
            clock.now += 3.0
            metrics.write("train", 1, {"a": 1.0})

    assert [row.time_sec for row in jsonl.read_rows(tmp_path / "metrics.jsonl")] == [3.0, 6.0]


def test_a_disk_that_fills_up_is_one_clear_error_and_leaves_whole_rows(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    metrics = logger.RunMetrics(tmp_path)
    metrics.write("eval", 0, {"a": 1.0})
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(errors.StorageError, match=r"writing .*metrics\.jsonl failed"):
            for step in range(1000):
                metrics.write("train", step, {"Losses/loss": 0.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    metrics.write("train", 1000, {"Losses/loss": 0.5})
    metrics.close()
    steps = [row.step for row in jsonl.read_rows(tmp_path / "metrics.jsonl")]
    assert len(steps) > 5
    assert steps == [0, *range(len(steps) - 2), 1000]


@pytest.mark.parametrize("group", ["", "../train", "collect/", "collect/X", "Train", "train/1/2"])
def test_a_group_that_is_no_name_is_refused(tmp_path, group):
    with logger.RunMetrics(tmp_path) as metrics, pytest.raises(ValueError, match="metrics group"):
        metrics.write(group, 1, {"a": 1.0})


def test_a_missing_run_directory_is_a_storage_error(tmp_path):
    with pytest.raises(errors.StorageError, match=r"metrics\.jsonl failed"):
        logger.RunMetrics(tmp_path / "missing")
