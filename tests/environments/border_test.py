"""Tests of environments/border.py."""

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import border

_SPEC = environment_spec.EnvironmentSpec(
    "my:task",
    (environment_spec.ObservationField("angle", (2,), 0), environment_spec.ObservationField("speed", (), 2)),
    num_actions=2,
)


def test_fields_follow_one_another_in_the_order_given() -> None:
    arrays = [("b", (2, 3), np.dtype(np.float64)), ("a", (), np.dtype(np.int64)), ("c", (1,), np.dtype(bool))]
    got = border.observation_fields("my:task", arrays)
    assert [(field.name, field.shape, field.offset) for field in got] == [
        ("b", (2, 3), 0),
        ("a", (), 6),
        ("c", (1,), 7),
    ]


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param([("screen", (84, 84, 3), np.dtype(np.uint8))], id="picture"),
        pytest.param([("text", (3,), np.dtype("U8"))], id="text"),
        pytest.param([("nothing", (0,), np.dtype(np.float32))], id="empty"),
    ],
)
def test_unfit_observations_are_refused_with_what_fits(arrays: list) -> None:
    with pytest.raises(errors.TaskError, match=r"my:task.*vectors of numbers"):
        border.observation_fields("my:task", arrays)


@pytest.mark.parametrize(
    "low, high",
    [
        pytest.param([-np.inf], [1.0], id="unbounded"),
        pytest.param([1.0], [1.0], id="no room"),
        pytest.param([np.nan], [1.0], id="NaN"),
        pytest.param([], [], id="no actions"),
        pytest.param([-1e300], [1e300], id="unbounded in float32"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_unfit_bounds_are_refused(low: list[float], high: list[float]) -> None:
    with pytest.raises(errors.TaskError, match="finite bounds"):
        border.action_bounds("my:task", np.array(low), np.array(high))


def test_bounds_are_flat() -> None:
    assert border.action_bounds("x", np.full((2, 1), -0.5), np.full((2, 1), 2.0)) == ((-0.5, -0.5), (2.0, 2.0))


@pytest.mark.parametrize(
    "observation, reward, match",
    [
        pytest.param(
            [0.0, np.nan, 0.0], 0.0, r"'angle'\[1\] is nan \(feature 1, 1 of 2 are", id="NaN in the first field"
        ),
        pytest.param(
            [0.0, 0.0, -np.inf], 0.0, r"'speed'\[0\] is -inf \(feature 2, 1 of 1 are", id="infinity in the last field"
        ),
        pytest.param([0.0, 0.0, 0.0], float("nan"), "reward is nan", id="NaN reward"),
        pytest.param([0.0, 0.0, 0.0], float("-inf"), "reward is -inf", id="infinite reward"),
    ],
)
def test_what_is_not_finite_is_stopped_by_name(observation: list[float], reward: float, match: str) -> None:
    with pytest.raises(errors.NumericalError, match=f"my:task.*{match}"):
        border.check_finite(_SPEC, np.array(observation, np.float32), reward)


def test_large_finite_values_pass() -> None:
    border.check_finite(_SPEC, np.array([1e38, -1e38, 3e38], np.float32), 1e300)


@pytest.mark.parametrize(
    "frame", [None, np.zeros((4, 4)), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)]
)
def test_only_pictures_are_pictures(frame: object) -> None:
    with pytest.raises(errors.TaskError, match="uint8"):
        border.checked_frame("my:task", frame)
