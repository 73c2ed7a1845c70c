"""Tests of environments/gym_spaces.py: actions. Which spaces are taken is tested with the suites."""

import gym
import gymnasium
import numpy as np
import pytest

from tfquarl.environments import gym_spaces

_LIMIT = 2**31 - 1


@pytest.mark.parametrize("spaces", [gym.spaces, gymnasium.spaces], ids=["gym", "gymnasium"])
@pytest.mark.parametrize(
    "low, high, dtype, given, expected",
    [
        pytest.param(-0.3, 0.3, np.float64, [-0.3, 0.3], [-0.3, 0.3], id="float64, where 0.3 is less than in float32"),
        pytest.param(-2.0, 2.0, np.float64, [-0.5, 1.25], [-0.5, 1.25], id="float64 within"),
        pytest.param(-2.0, 2.0, np.float16, [-2.0, 1.5], [-2.0, 1.5], id="float16"),
        pytest.param(-2, 2, np.int64, [-0.6, 0.6], [-1, 1], id="integers are the nearest"),
        pytest.param(-2, 2, np.int8, [-2.0, 1.5], [-2, 2], id="int8, a half to the even one"),
        pytest.param(0, _LIMIT, np.int32, [0.0, _LIMIT], [0, _LIMIT], id="int32 whose end float32 has not"),
        pytest.param(-0.3, 0.3, np.float32, [-0.3, 0.3], np.float32([-0.3, 0.3]), id="float32 as it is"),
    ],
)
def test_actions_lie_in_their_space(spaces, low, high, dtype, given, expected) -> None:
    space = spaces.Box(low, high, (2,), dtype)
    given = np.float32(given)
    action = gym_spaces.make_act(space, spaces)(given)
    assert action.dtype == dtype and action.tolist() == np.array(expected).tolist() and space.contains(action)
    assert action is not given and not np.shares_memory(action, given)
    together = gym_spaces.make_act_together(space, 3, spaces)(np.stack([given] * 3))
    assert together.dtype == dtype and together.tolist() == [action.tolist()] * 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_are_those_of_each_element(dtype) -> None:
    space = gymnasium.spaces.Box(np.array([[0], [-0.3]], dtype), np.array([[0.3], [0.7]], dtype), dtype=dtype)
    action = gym_spaces.make_act(space, gymnasium.spaces)(np.float32([0.3, 0.7]))
    assert space.contains(action) and action.tolist() == [[dtype(0.3)], [np.float32(0.7)]]  # which is below 0.7
    together = gym_spaces.make_act_together(space, 2, gymnasium.spaces)(np.float32([[0.3, 0.7], [0.1, -0.3]]))
    assert together.shape == (2, 2, 1) and all(space.contains(item) for item in together)
