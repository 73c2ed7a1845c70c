"""Tests of collector/policy_slot.py."""

import dataclasses
import threading

import numpy as np
import pytest

from tfquarl.collector import policy_slot
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.testing import collector_fakes

_WAIT_SEC = 10.0


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _make_policy(artifact: records.PolicyArtifact):
    if artifact.model == b"bad":
        raise errors.ArtifactError("model: the runtime refuses it")
    return lambda observations: np.full((1, 1), artifact.version, np.float32)


def _slot(source: collector_fakes.QueuedArtifacts, clock: _Clock | None = None, make=_make_policy):
    return policy_slot.PolicySlot(
        source, make, poll_interval_sec=0.001, max_policy_age_sec=60.0, clock=clock or _Clock()
    )


def _acts(slot: policy_slot.PolicySlot) -> float:
    assert slot.policy is not None
    return float(slot.policy(np.zeros((1, 1), np.float32))[0, 0])


def test_a_policy_is_live_only_after_the_swap() -> None:
    source = collector_fakes.QueuedArtifacts([collector_fakes.artifact(3), collector_fakes.artifact(7)])
    slot = _slot(source)
    assert (slot.policy, slot.version, slot.swap()) == (None, 0, False)
    assert slot.poll_now() and slot.policy is None
    assert slot.swap() and not slot.swap()
    assert (slot.version, _acts(slot)) == (3, 3)
    assert slot.poll_now() and _acts(slot) == 3
    assert slot.swap() and (slot.version, _acts(slot)) == (7, 7)
    assert not slot.poll_now()


def test_of_several_new_policies_the_last_one_is_swapped_in() -> None:
    source = collector_fakes.QueuedArtifacts([collector_fakes.artifact(3), collector_fakes.artifact(7)])
    slot = _slot(source)
    assert slot.poll_now() and slot.poll_now() and slot.swap()
    assert slot.version == 7


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(errors.ArtifactError("digest"), id="bytes that don't verify"),
        pytest.param(collector_fakes.artifact(9, model=b"bad"), id="a model that the runtime refuses"),
    ],
)
def test_a_bad_artifact_is_counted_and_the_last_good_policy_stays(bad) -> None:
    clock = _Clock()
    slot = _slot(collector_fakes.QueuedArtifacts([collector_fakes.artifact(3), bad]), clock)
    slot.poll_now()
    slot.swap()
    clock.now += 10
    assert not slot.poll_now() and not slot.swap()
    assert (slot.version, slot.num_refused, slot.policy_age_sec) == (3, 1, 10.0)


def test_the_longest_age_is_kept() -> None:
    clock = _Clock()
    slot = _slot(collector_fakes.QueuedArtifacts([collector_fakes.artifact(3), collector_fakes.artifact(4)]), clock)
    ages = []
    for wait_sec in (5, 2):
        clock.now += wait_sec
        slot.poll_now()
        ages.append((slot.policy_age_sec, slot.longest_age_sec))
    clock.now += 9
    assert [*ages, (slot.policy_age_sec, slot.longest_age_sec)] == [(0, 5), (0, 5), (9, 9)]


def test_a_stale_policy_is_an_error_that_a_newer_one_heals() -> None:
    clock = _Clock()
    source = collector_fakes.QueuedArtifacts([collector_fakes.artifact(3)])
    slot = _slot(source, clock)
    clock.now += 59
    slot.poll_now()
    assert slot.policy_age_sec == 0 and slot.swap()
    clock.now += 60
    slot.swap()
    clock.now += 1
    with pytest.raises(errors.StalePolicyError, match="newer than version 3 came for 61 s, the limit is 60 s"):
        slot.swap()
    source.put(collector_fakes.artifact(4))
    slot.poll_now()
    assert slot.swap() and slot.version == 4


def test_never_a_policy_is_stale_too() -> None:
    clock = _Clock()
    slot = _slot(collector_fakes.QueuedArtifacts(), clock)
    clock.now += 61
    with pytest.raises(errors.StalePolicyError, match="version 0"):
        slot.swap()


def test_the_next_policy_is_built_beside_the_loop() -> None:
    """While the thread is amid building version 4, swaps go on with version 3 and don't wait."""
    is_building, may_finish, is_built = threading.Event(), threading.Event(), threading.Event()

    def make(artifact: records.PolicyArtifact):
        if artifact.version == 4:
            is_building.set()
            assert may_finish.wait(_WAIT_SEC)
        elif artifact.version == 5:
            is_built.set()  # so version 4 is ready
        return _make_policy(artifact)

    source = collector_fakes.QueuedArtifacts([collector_fakes.artifact(3), collector_fakes.artifact(4)])
    with _slot(source, make=make) as slot:
        assert is_building.wait(_WAIT_SEC)
        assert slot.swap() and slot.version == 3
        assert not slot.swap()
        source.put(collector_fakes.artifact(5))
        may_finish.set()
        assert is_built.wait(_WAIT_SEC)
        assert slot.swap() and slot.version in (4, 5)
    assert not [thread for thread in threading.enumerate() if thread.name == "policy-slot"]


def test_latency_runs_from_the_snapshot_to_the_swap_and_leaves_out_the_first_policy() -> None:
    clock = _Clock()
    made = [dataclasses.replace(collector_fakes.artifact(version), created_sec=90.0 + version) for version in (1, 2, 3)]
    unknown = collector_fakes.artifact(4)
    slot = _slot(collector_fakes.QueuedArtifacts([*made, unknown]), clock)
    for _ in range(4):
        slot.poll_now()
        clock.now += 0.5
        slot.swap()
        clock.now += 1.5
    # Ready at 100, 102, 104 and 106; in use half a second later.
    assert list(slot.latencies) == [policy_slot.Latency(10.0, 10.5), policy_slot.Latency(11.0, 11.5)]


def test_times_of_fetching_and_of_building_add_up_over_the_policies_that_came() -> None:
    clock = _Clock()

    class Slow(collector_fakes.QueuedArtifacts):
        def poll(self) -> records.PolicyArtifact | None:
            clock.now += 2.0
            return super().poll()

    def make(artifact: records.PolicyArtifact):
        clock.now += 0.5
        return _make_policy(artifact)

    slot = _slot(Slow([collector_fakes.artifact(3), collector_fakes.artifact(7)]), clock, make)
    assert [slot.poll_now() for _ in range(3)] == [True, True, False]
    assert (slot.pull_sec, slot.load_sec) == (4.0, 1.0)  # twice 2 s and 0.5 s; the third look found nothing


def test_what_ends_the_thread_is_raised_by_the_next_swap() -> None:
    failed = threading.Event()

    class Failing:
        def poll(self) -> None:
            failed.set()
            raise ConnectionError("the server went away")

    slot = policy_slot.PolicySlot(Failing(), _make_policy, 0.001, 60.0)
    with slot:
        assert failed.wait(_WAIT_SEC)
    with pytest.raises(ConnectionError, match="went away"):
        slot.swap()
