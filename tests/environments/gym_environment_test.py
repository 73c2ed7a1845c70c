"""Tests of what environments of gym and gymnasium have in common, environments/gym_environment.py."""

from collections.abc import Callable
from typing import Any

import gym
import gymnasium
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.environments import gym_environment
from tfquarl.environments import gym_suite
from tfquarl.environments import gymnasium_suite


def _of_gym(observation: Any) -> gym_environment.GymLikeEnvironment:
    return gym_suite.GymEnvironment("gym:task", _dictionary(gym, observation), seed=1)


def _of_gymnasium(observation: Any) -> gym_environment.GymLikeEnvironment:
    return gymnasium_suite.GymnasiumEnvironment("gymnasium:task", _dictionary(gymnasium, (observation, {})), seed=1)


def _dictionary(library: Any, begins_with: Any) -> Any:
    """An environment of `library` whose space says a dictionary; its reset gives `begins_with`."""

    class Dictionary(library.Env):
        observation_space = library.spaces.Dict(
            {"a": library.spaces.Box(-1, 1, (2,)), "b": library.spaces.Box(-1, 1, (1,))}
        )
        action_space = library.spaces.Discrete(2)

        def reset(self, **kwargs: Any) -> Any:
            return begins_with

    return Dictionary()


@pytest.mark.parametrize("make", [_of_gym, _of_gymnasium])
@pytest.mark.parametrize(
    "observation, match",
    [
        pytest.param({"a": np.zeros(2)}, r"\{'a': \(2,\)\}, its spec says \{'a': \(2,\), 'b': \(1,\)\}", id="missing"),
        pytest.param({"a": np.zeros(1), "b": np.zeros(1)}, r"'a': \(1,\).*says \{'a': \(2,\)", id="would be broadcast"),
        pytest.param(np.zeros(3), "gave a ndarray, its spec says a dictionary", id="array"),
    ],
)
def test_dictionary_observations_are_checked_where_an_episode_begins(
    make: Callable[[Any], gym_environment.GymLikeEnvironment], observation: Any, match: str
) -> None:
    environment = make(observation)
    with pytest.raises(errors.TaskError, match=f"{environment.spec.name}: .*{match}"):
        environment.reset()
