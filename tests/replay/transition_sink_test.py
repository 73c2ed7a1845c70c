"""Tests of tfquarl.replay.transition_sink: bad numbers stop before the replay."""

from typing import Any

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.replay import n_step
from tfquarl.replay import transition
from tfquarl.replay import transition_sink

NAN, INFINITY = float("nan"), float("inf")


def make_sink() -> tuple[transition_sink.TransitionSink, list[list[float]]]:
    written: list[list[float]] = []
    accumulator = n_step.NStepAccumulator(transition.TransitionLayout(2, 2), 2, 0.5)
    return transition_sink.TransitionSink(accumulator, lambda rows: written.extend(rows.tolist())), written


def step(sink: transition_sink.TransitionSink, **changes: Any) -> None:
    values = {
        "action": np.float32([1, 2]),
        "reward": 4.0,
        "observation": np.float32([5, 6]),
        "terminated": False,
        "truncated": False,
    }
    sink.add(**{**values, **changes})


def test_writes_whole_windows_only():
    sink, written = make_sink()
    sink.start(np.float32([3, 3]))
    step(sink)
    assert written == []
    step(sink, truncated=True)
    assert written == [[3, 3, 1, 2, 6, 0.5, 5, 6], [5, 6, 1, 2, 4, 1, 5, 6]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"observation": np.float32([0, NAN])}, r"observation\[1\] is nan", id="observation"),
        pytest.param({"reward": NAN}, "reward is nan", id="reward"),
        pytest.param({"reward": np.float64(INFINITY)}, "reward is inf", id="infinite reward"),
        pytest.param(
            {"reward": -2e30}, r"reward is -2e\+30, needs a number within \+-1e\+30", id="infinite as a sum of float32"
        ),
        pytest.param({"action": np.float32([INFINITY, 0])}, r"action\[0\] is inf", id="action"),
    ],
)
def test_refuses_a_step_and_goes_on(changes: dict[str, Any], message: str):
    sink, written = make_sink()
    sink.start(np.float32([3, 3]))
    with pytest.raises(errors.NumericalError, match=message):
        step(sink, **changes)
    step(sink, terminated=True)
    assert written == [[3, 3, 1, 2, 4, 0, 5, 6]]


def test_refuses_a_first_observation():
    sink, _ = make_sink()
    with pytest.raises(errors.NumericalError, match=r"the first observation\[0\] is inf"):
        sink.start(np.float32([INFINITY, 0]))
