"""What environments of gym and gymnasium have in common; how each resets, steps and draws is in its suite.

The time limit is kept here rather than by their wrapper: an episode that it ends is truncated, unless the task ended it in the same
step.
"""

import abc
import math
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import gym_spaces


class GymLikeEnvironment(abc.ABC):
    """One environment of `library` behind `core.interfaces.SeedableEnvironment`, but for its step."""

    def __init__(self, name: str, environment: Any, seed: int, library: Any) -> None:
        """Takes the environment out of the library's order check and time limit.

        Args:
          name: of the environment.
          environment: as the library made it.
          seed: decides its episodes.
          library: the module `gym` or `gymnasium`.

        Raises:
          TaskError: its spaces don't fit.
        """
        self._environment = environment
        self._inner, limit = _without_own_wrappers(environment, library.wrappers)
        observation_space, action_space = environment.observation_space, environment.action_space
        self._spec = gym_spaces.make_spec(name, observation_space, action_space, limit, library.spaces)
        self._flattener = gym_spaces.make_flattener(self._spec, observation_space, library.spaces)
        self._flatten = self._flattener.flatten
        self._act = gym_spaces.make_act(action_space, library.spaces)
        self._step = self._inner.step
        self._max_steps = math.inf if limit is None else limit
        self._num_steps = 0
        self._next_seed: int | None = seed

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Its boundary."""
        return self._spec

    def seed(self, seed: int) -> None:
        """Makes the next episode, and those after it, depend on `seed` and the actions alone."""
        self._next_seed = seed

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D].

        Raises:
          TaskError: a dictionary observation has other names or shapes than its space.
          NumericalError: the observation has a NaN or an infinity.
        """
        seed, self._next_seed = self._next_seed, None
        self._num_steps = 0
        observation = self._reset(seed)
        self._flattener.check(observation)
        flat = self._flatten(observation)
        border.check_finite(self._spec, flat, 0.0)
        return flat

    @abc.abstractmethod
    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """One step by an int or a float32 [A] action: observation [D], reward, terminated, truncated.

        Raises:
          NumericalError: the observation or the reward has a NaN or an infinity.
        """

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [height, width, 3].

        Raises:
          TaskError: this task can't draw itself, not on this machine, or not as it was made.
        """
        try:
            frame = self._draw()
        except Exception as error:  # Drawing is the task's own code, with its own errors.
            reason = str(error) or "its environment says no more"
            raise errors.TaskError(f"{self._spec.name}: can't be drawn: {type(error).__name__}: {reason}") from error
        return border.checked_frame(self._spec.name, frame)

    def close(self) -> None:
        """Frees what it holds."""
        self._environment.close()

    @abc.abstractmethod
    def _reset(self, seed: int | None) -> Any:
        """Starts an episode, by `seed` where there is one; the environment's own observation."""

    @abc.abstractmethod
    def _draw(self) -> Any:
        """The environment's own picture."""


def _without_own_wrappers(environment: Any, wrappers: Any) -> tuple[Any, int | None]:
    """The environment inside the library's order check and time limit, and that limit."""
    limits = []
    while type(environment) in (wrappers.TimeLimit, wrappers.OrderEnforcing):
        if isinstance(environment, wrappers.TimeLimit):
            limits.append(environment._max_episode_steps)
        environment = environment.env
    return environment, min(limits, default=None)
