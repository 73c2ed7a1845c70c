"""Holds each action for several steps of an environment."""

import dataclasses
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import interfaces


class ActionRepeat:
    """An environment whose step is `repeat` steps of another one: rewards are summed, an episode's end ends the step."""

    def __init__(self, environment: interfaces.SeedableEnvironment, repeat: int) -> None:
        if repeat < 1:
            raise ValueError(f"{environment.spec.name}: repeat is {repeat}, needs 1 or more")
        self._environment = environment
        self._repeat = repeat
        spec = environment.spec
        limit = spec.max_episode_steps
        self._spec = dataclasses.replace(
            spec,
            max_episode_steps=None if limit is None else -(-limit // repeat),
            action_repeat=repeat * spec.action_repeat,
        )

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """The other environment's boundary with the time limit in repeated steps, and the repeat."""
        return self._spec

    def seed(self, seed: int) -> None:
        """Makes the next episode depend on `seed` alone."""
        self._environment.seed(seed)

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D]."""
        return self._environment.reset()

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

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [height, width, 3]."""
        return self._environment.render()

    def close(self) -> None:
        """Closes the other environment."""
        self._environment.close()
