"""Tests of tfquarl.publication.in_process."""

import threading

import pytest

from tfquarl.publication import in_process
from tfquarl.testing import example_records


def test_every_reader_gets_each_version_once():
    policies = in_process.LocalPolicies()
    first, second = policies.source(), policies.source()
    assert first.poll() is None
    policies.publish(example_records.artifact(1))
    assert first.poll() == example_records.artifact(1) and first.poll() is None
    policies.publish(example_records.artifact(3))
    assert first.poll() == second.poll() == example_records.artifact(3)


def test_never_an_older_one():
    policies = in_process.LocalPolicies()
    source = policies.source()
    policies.publish(example_records.artifact(3))
    policies.publish(example_records.artifact(2))
    assert source.poll() == example_records.artifact(3)
    assert source.poll() is None


def test_snapshots():
    snapshots = in_process.LocalSnapshots()
    assert snapshots.newest_version() is None
    snapshot = example_records.snapshot(1)
    snapshots.push(snapshot)
    assert snapshots.newest_version() == 1
    assert snapshots.source().poll() is snapshot


def test_pairs():
    evaluations = in_process.LocalEvaluations()
    pair = (example_records.artifact(1), example_records.artifact(1, "float32"))
    evaluations.publish_pair(*pair)
    assert evaluations.source().poll() == pair
    with pytest.raises(ValueError, match="one version, got 1 and 2"):
        evaluations.publish_pair(pair[0], example_records.artifact(2))


def test_threads_may_share_it():
    policies, barrier, seen = in_process.LocalPolicies(), threading.Barrier(2), []

    def read() -> None:
        source = policies.source()
        barrier.wait(20)
        while not seen or seen[-1] < 500:
            artifact = source.poll()
            if artifact is not None:
                seen.append(artifact.version)

    thread = threading.Thread(target=read)
    thread.start()
    barrier.wait(20)
    for version in range(1, 501):
        policies.publish(example_records.artifact(version))
    thread.join(20)
    assert seen == sorted(set(seen)) and seen[-1] == 500
