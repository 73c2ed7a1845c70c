"""Cuts an environment's episodes short."""

import dataclasses
from typing import Any

import numpy as np

from tfquarl.core import interfaces
from tfquarl.environments import wrapper


class TimeLimit(wrapper.Wrapper):
    """An environment whose episodes are truncated after `max_steps` steps, where they have not ended before."""

    def __init__(self, environment: interfaces.SeedableEnvironment, max_steps: int) -> None:
        """Stores both.

        Raises:
          ValueError: `max_steps` is less than 1.
        """
        spec = environment.spec
        if max_steps < 1:
            raise ValueError(f"{spec.name}: max_steps is {max_steps}, needs 1 or more")
        limit = min(spec.max_episode_steps or max_steps, max_steps)
        super().__init__(environment, dataclasses.replace(spec, max_episode_steps=limit))
        self._max_steps = max_steps
        self._num_steps = 0

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D]."""
        self._num_steps = 0
        return self._environment.reset()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """The observation [D], the reward, terminated, truncated; the last step is only truncated if it is not the end anyway."""
        observation, reward, terminated, truncated = self._environment.step(action)
        self._num_steps += 1
        return observation, reward, terminated, truncated or (self._num_steps >= self._max_steps and not terminated)
