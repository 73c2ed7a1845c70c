"""Tests of tfquarl.replay.transition."""

import math

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.replay import transition

FIELDS = (environment_spec.ObservationField("observation", (3,), 0),)


def test_columns():
    layout = transition.TransitionLayout(observation_size=3, action_size=2)
    assert layout.row_size == 10
    columns = np.arange(10)
    assert columns[layout.observation].tolist() == [0, 1, 2]
    assert columns[layout.action].tolist() == [3, 4]
    assert (layout.reward, layout.discount) == (5, 6)
    assert columns[layout.next_observation].tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("spec", "row_size"),
    [
        pytest.param(environment_spec.EnvironmentSpec("a", FIELDS, num_actions=7), 9, id="an index takes one column"),
        pytest.param(
            environment_spec.EnvironmentSpec("b", FIELDS, action_low=(0.0,) * 4, action_high=(1.0,) * 4),
            12,
            id="an action takes four",
        ),
    ],
)
def test_layout_of_an_environment(spec: environment_spec.EnvironmentSpec, row_size: int):
    assert transition.TransitionLayout.from_spec(spec).row_size == row_size


def test_unpack():
    layout = transition.TransitionLayout(3, 2)
    rows = np.float32([[1, 2, 3, 4, 5, 6, 0.5, 7, 8, 9], [0, 0, 0, 1, 1, -1, 0, 1, 1, 1]])
    batch = layout.unpack(rows, np.uint64([10, 11]), np.float64([0.1, 0.2]))
    np.testing.assert_array_equal(batch.observation, [[1, 2, 3], [0, 0, 0]])
    np.testing.assert_array_equal(batch.action, [[4, 5], [1, 1]])
    np.testing.assert_array_equal(batch.reward, [6, -1])
    np.testing.assert_array_equal(batch.discount, [0.5, 0])
    np.testing.assert_array_equal(batch.next_observation, [[7, 8, 9], [1, 1, 1]])
    assert batch.keys.tolist() == [10, 11] and batch.probability.tolist() == [0.1, 0.2]


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0)])
def test_refuses_empty_fields(sizes: tuple[int, int]):
    with pytest.raises(ValueError, match="sizes must be positive"):
        transition.TransitionLayout(*sizes)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0.0, id="float"),
        pytest.param(3, id="index"),
        pytest.param(np.int64(3), id="numpy index"),
        pytest.param(np.float32([1, -2]), id="array"),
        pytest.param(np.float32([3e38, 3e38]), id="squares overflow, values do not"),
        pytest.param(np.array(2.5), id="array without dimensions"),
    ],
)
def test_finite_values_pass(value: object):
    transition.check_finite("value", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(math.nan, "reward is nan", id="NaN"),
        pytest.param(-math.inf, "reward is -inf", id="infinity"),
        pytest.param(np.float32([0, 1, np.nan]), r"reward\[2\] is nan", id="NaN in an array"),
        pytest.param(np.float32([0, np.inf]), r"reward\[1\] is inf", id="infinity in an array"),
        pytest.param(np.float32([np.inf, -np.inf]), r"reward\[0\] is inf", id="infinities"),
    ],
)
def test_names_what_is_not_finite(value: object, message: str):
    with pytest.raises(errors.NumericalError, match=message):
        transition.check_finite("reward", value)
