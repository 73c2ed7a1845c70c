"""Holds each action for several steps of an environment."""

import dataclasses
from typing import Any

import numpy as np

from tfquarl.core import interfaces
from tfquarl.environments import wrapper


class ActionRepeat(wrapper.Wrapper):
    """An environment whose step is `repeat` steps of another one: rewards are summed, an episode's end ends the step."""

    def __init__(self, environment: interfaces.SeedableEnvironment, repeat: int) -> None:
        """Stores both; the spec's time limit is in repeated steps.

        Raises:
          ValueError: `repeat` is less than 1.
        """
        spec = environment.spec
        if repeat < 1:
            raise ValueError(f"{spec.name}: repeat is {repeat}, needs 1 or more")
        limit = spec.max_episode_steps
        limit = None if limit is None else -(-limit // repeat)
        repeats = repeat * spec.action_repeat
        super().__init__(environment, dataclasses.replace(spec, max_episode_steps=limit, action_repeat=repeats))
        self._repeat = repeat

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """The last observation [D], the summed reward, terminated, truncated."""
        step = self._environment.step
        observation, total, terminated, truncated = step(action)
        for _ in range(self._repeat - 1):
            if terminated or truncated:
                break
            observation, reward, terminated, truncated = step(action)
            total += reward
        return observation, total, terminated, truncated
