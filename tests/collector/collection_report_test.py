"""Tests of collector/collection_report.py."""

import dataclasses

from tfquarl.collector import collection_report
from tfquarl.collector import config as config_lib
from tfquarl.collector import policy_slot
from tfquarl.metrics import names
from tfquarl.testing import collector_fakes
from tfquarl.testing import memory_metrics


def _make_report(now, blocked_sec=(0.0,), artifacts=(), **settings):
    """A report by the clock `now[0]`, with the slot that it tells of and the metrics that it writes."""
    slot = policy_slot.PolicySlot(
        collector_fakes.QueuedArtifacts(artifacts), lambda _: object(), 1.0, 60.0, lambda: now[0]
    )
    metrics, config = memory_metrics.MemoryMetrics(), config_lib.CollectorConfig(**settings)
    report = collection_report.CollectionReport(metrics, slot, config, 0, lambda: blocked_sec[0], lambda: now[0])
    return report, slot, metrics


def test_latency_of_policies_is_told_once_there_is_one() -> None:
    artifacts = [dataclasses.replace(collector_fakes.artifact(version), created_sec=1.0) for version in (1, 2)]
    now = [1.0]
    report, slot, metrics = _make_report(now, artifacts=artifacts)
    for _ in artifacts:
        slot.poll_now()
        now[0] += 0.25
        slot.swap()
        report.write(10)
    assert metrics.series("collect/0", names.SNAPSHOT_TO_READY_P95_SEC) == [0.25]
    assert metrics.series("collect/0", names.SNAPSHOT_TO_USE_P95_SEC) == [0.5]


def test_latency_is_what_all_but_a_twentieth_of_the_policies_are_within() -> None:
    versions = range(102)
    artifacts = [dataclasses.replace(collector_fakes.artifact(version), created_sec=0.0) for version in versions]
    now = [0.0]
    report, slot, metrics = _make_report(now, artifacts=artifacts)
    for now[0] in versions:  # seconds after the snapshot; that of the first policy does not count
        slot.poll_now()
        slot.swap()
    report.write(10)
    assert metrics.series("collect/0", names.SNAPSHOT_TO_READY_P95_SEC) == [96.0]
    assert metrics.series("collect/0", names.SNAPSHOT_TO_USE_P95_SEC) == [96.0]


def test_means_are_taken_over_the_latest_episodes_and_rates_since_the_last_row() -> None:
    now, blocked_sec = [0.0], [3.0]
    report, _, metrics = _make_report(now, blocked_sec, num_report_episodes=2, report_interval_sec=10.0)
    now[0] = 9.0
    report.write_if_due(90)
    assert not metrics.rows
    now[0] = 10.0
    report.write_if_due(100)
    for episode_return, num_steps in ((100.0, 1), (1.0, 10), (2.0, 20)):
        report.add_episode(episode_return, num_steps)
    now[0], blocked_sec[0] = 20.0, 8.0
    report.write_if_due(400)
    assert metrics.series("collect/0", "RunTime/env_steps_per_sec") == [10.0, 30.0]
    assert metrics.series("collect/0", "RunTime/rate_limiter_blocked_share") == [0.0, 0.5]
    assert metrics.series("collect/0", "Metrics/AverageReturn") == [1.5]
    assert metrics.series("collect/0", "Metrics/AverageEpisodeLength") == [15.0]
    assert metrics.series("collect/0", "Metrics/NumberOfEpisodes") == [0, 3]


def test_a_wait_that_began_before_the_last_row_is_at_most_all_of_the_time_since() -> None:
    now, blocked_sec = [100.0], [0.0]
    report, _, metrics = _make_report(now, blocked_sec)
    now[0], blocked_sec[0] = 101.0, 5.0
    report.write(10)
    assert metrics.series("collect/0", names.BLOCKED_SHARE) == [1.0]


def test_time_of_steps_is_what_blocking_leaves() -> None:
    now, blocked_sec = [100.0], [0.0]
    report, _, metrics = _make_report(now, blocked_sec)
    now[0], blocked_sec[0] = 110.0, 4.0
    report.write(10)
    now[0] = 111.0
    report.write(20)
    assert metrics.series("collect/0", names.STEP_SEC) == [6.0, 7.0]  # since the beginning, not since the last row
