"""Tests of evaluator/spaced_pairs.py."""

import threading

import pytest

from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.evaluator import spaced_pairs


def _pair(train_step: int) -> tuple[records.PolicyArtifact, records.PolicyArtifact]:
    version = 1 + train_step
    return (
        records.PolicyArtifact(version, train_step, "static_wi8_ai8", b"8", {}),
        records.PolicyArtifact(version, train_step, "float32", b"float", {}),
    )


class _Steps:
    """Gives policies of these train steps, one a poll; an exception is raised in its turn. `is_empty` is set when all were given."""

    def __init__(self, *items: int | Exception) -> None:
        self._items = list(items)
        self.is_empty = threading.Event()

    def poll(self):
        if not self._items:
            self.is_empty.set()
            return None
        item = self._items.pop(0)
        if isinstance(item, Exception):
            raise item
        return _pair(item)


def _given(source: spaced_pairs.SpacedPairs, num_polls: int) -> list[int]:
    """Train steps of what `num_polls` polls gave."""
    pairs = [source.poll() for _ in range(num_polls)]
    return [pair[0].train_step for pair in pairs if pair is not None]


@pytest.mark.parametrize(
    ("steps", "past_step", "expected"),
    [
        pytest.param([0, 50, 100, 150, 200], None, [0, 100, 200], id="each at a multiple"),
        pytest.param([30, 130, 180, 260, 290], None, [30, 130, 260], id="the first past each multiple"),
        pytest.param([0, 350, 390, 400], None, [0, 350, 400], id="multiples that were passed by count once"),
        pytest.param([100, 150, 200, 250], 100, [200], id="goes on after the last that was judged"),
        pytest.param([100, 150, 200, 250], 170, [200], id="which need not be at a multiple"),
        pytest.param([], None, [], id="nothing published"),
    ],
)
def test_the_first_policy_at_or_past_each_multiple_is_given(
    steps: list[int], past_step: int | None, expected: list[int]
) -> None:
    source = spaced_pairs.SpacedPairs(_Steps(*steps), 100, 0.001, lambda: False, past_step)
    assert _given(source, 8) == expected


def test_after_training_the_last_policy_is_given_once() -> None:
    trained = threading.Event()
    source = spaced_pairs.SpacedPairs(_Steps(0, 60, 120, 180), 100, 0.001, trained.is_set)
    assert _given(source, 5) == [0, 120]
    trained.set()
    assert _given(source, 3) == [180]


def test_a_last_policy_at_a_multiple_is_not_given_twice() -> None:
    source = spaced_pairs.SpacedPairs(_Steps(0, 60, 100), 100, 0.001, lambda: True)
    # At 60 training was taken to have ended: a policy that is the newest then is judged, as is what comes after it.
    assert _given(source, 6) == [0, 60, 100]


def test_those_that_come_while_one_is_judged_wait_in_order() -> None:
    steps, trained = _Steps(0, 60, 100, 130, 200, 230), threading.Event()
    source = spaced_pairs.SpacedPairs(steps, 100, 0.001, trained.is_set)
    with source:
        assert steps.is_empty.wait(30)
        trained.set()
        assert _given(source, 5) == [0, 100, 200, 230]


def test_what_the_source_raises_comes_in_its_turn() -> None:
    steps = _Steps(0, errors.ArtifactError("digest"), 100, ValueError("defect"))
    with spaced_pairs.SpacedPairs(steps, 100, 0.001, lambda: False) as source:
        assert steps.is_empty.wait(30)
        assert _given(source, 1) == [0]
        with pytest.raises(errors.ArtifactError, match="digest"):
            source.poll()
        assert _given(source, 1) == [100]
        with pytest.raises(ValueError, match="defect"):
            source.poll()
