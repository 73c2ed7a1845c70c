"""Tasks of gymnasium by their id, e.g. 'gymnasium:Pendulum-v1'; also 'gymnasium:package:Task-v0', which imports package first.

The time limit is kept here rather than by gymnasium's wrapper: an episode that it ends is truncated, unless the task ended it in the
same step.
"""

from collections.abc import Iterable
import math
from typing import Any
import warnings

import gymnasium
from gymnasium import wrappers
import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import gym_spaces
from tfquarl.environments import gymnasium_vector

make_vector_task = gymnasium_vector.make_vector_task

_OWN_WRAPPERS = (wrappers.TimeLimit, wrappers.OrderEnforcing)


def task_names() -> Iterable[str]:
    """All ids that gymnasium knows."""
    return list(gymnasium.registry)


def make_task(task: str, seed: int, can_render: bool = False) -> "GymnasiumEnvironment":
    """The environment with gymnasium id `task`.

    Raises:
      TaskError: gymnasium can't make it, or its spaces don't fit.
    """
    name = f"gymnasium:{task}"
    try:
        with warnings.catch_warnings():
            # pygame 2.1 uses pkg_resources, which warns of its own end.
            warnings.simplefilter("ignore", UserWarning)
            # Not every constructor takes a render_mode.
            render: dict[str, Any] = {"render_mode": "rgb_array"} if can_render else {}
            # The checker looks at every first step and prints; the border checks what matters here.
            environment = gymnasium.make(task, disable_env_checker=True, **render)
    except Exception as error:  # Whatever a third party's constructor raises is the task's fault here.
        raise errors.TaskError(f"environment '{name}' can't be made: {type(error).__name__}: {error}") from error
    return GymnasiumEnvironment(name, environment, seed)


class GymnasiumEnvironment:
    """One gymnasium environment behind `core.interfaces.SeedableEnvironment`."""

    def __init__(self, name: str, environment: gymnasium.Env, seed: int) -> None:
        self._environment = environment
        self._inner, limit = _without_own_wrappers(environment)
        observation_space, action_space = environment.observation_space, environment.action_space
        self._spec = gym_spaces.make_spec(name, observation_space, action_space, limit, gymnasium.spaces)
        self._flattener = gym_spaces.make_flattener(self._spec, observation_space, gymnasium.spaces)
        self._flatten = self._flattener.flatten
        self._act = gym_spaces.make_act(action_space, gymnasium.spaces)
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
        """Starts an episode; the first observation, float32 [D]."""
        seed, self._next_seed = self._next_seed, None
        self._num_steps = 0
        observation, _ = self._inner.reset(seed=seed)
        self._flattener.check(observation)
        flat = self._flatten(observation)
        border.check_finite(self._spec, flat, 0.0)
        return flat

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """One step by an int or a float32 [A] action: observation [D], reward, terminated, truncated.

        Raises:
          NumericalError: the observation or the reward has a NaN or an infinity.
        """
        observation, reward, terminated, truncated, _ = self._step(self._act(action))
        self._num_steps += 1
        flat, reward = self._flatten(observation), float(reward)
        if not math.isfinite(flat.dot(flat)) or not math.isfinite(reward):
            border.check_finite(self._spec, flat, reward)
        if terminated:
            return flat, reward, True, False
        return flat, reward, False, bool(truncated) or self._num_steps >= self._max_steps

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [height, width, 3].

        Raises:
          TaskError: this task can't draw itself, or was not made with `can_render`.
        """
        if self._environment.render_mode != "rgb_array":
            raise errors.TaskError(f"{self._spec.name}: can't be drawn; make it with can_render=True")
        try:
            frame = self._inner.render()
        except Exception as error:  # Drawing is the task's own code, with its own errors.
            reason = str(error) or "its environment says no more"
            raise errors.TaskError(f"{self._spec.name}: can't be drawn: {type(error).__name__}: {reason}") from error
        return border.checked_frame(self._spec.name, frame)

    def close(self) -> None:
        """Frees what it holds."""
        self._environment.close()


def _without_own_wrappers(environment: Any) -> tuple[gymnasium.Env, int | None]:
    """The environment inside gymnasium's order check and time limit, and that limit."""
    limits = []
    while type(environment) in _OWN_WRAPPERS:
        if isinstance(environment, wrappers.TimeLimit):
            limits.append(environment._max_episode_steps)
        environment = environment.env
    return environment, min(limits, default=None)
