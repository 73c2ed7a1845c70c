"""Keeps what an environment of anybody's own does with its arrays away from the replay."""

from typing import Any

import numpy as np

from tfquarl.core import interfaces
from tfquarl.environments import wrapper


class OwnArrays(wrapper.Wrapper):
    """An environment that may write its observations to one buffer again and again, and change the actions that it is given.

    The replay keeps observations and actions without a copy, so each crosses here as a new array. The suites that come along do
    this where they flatten.
    """

    def __init__(self, environment: interfaces.SeedableEnvironment) -> None:
        """Stores the environment."""
        super().__init__(environment, environment.spec)

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D]."""
        return np.array(self._environment.reset(), np.float32)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """The observation [D], the reward, terminated, truncated."""
        own_action = action.copy() if isinstance(action, np.ndarray) else action
        observation, reward, terminated, truncated = self._environment.step(own_action)
        return np.array(observation, np.float32), reward, terminated, truncated
