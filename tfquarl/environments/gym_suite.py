"""Tasks of gym 0.23 by their id, e.g. 'gym:CartPole-v1'; also 'gym:package:Task-v0', which imports package first.

The time limit is kept here rather than by gym's wrapper: an episode that it ends is truncated, unless the task ended it in the same
step.
"""

from collections.abc import Callable
from collections.abc import Iterable
import importlib
import inspect
import math
from typing import Any
import warnings

from gym_notices import notices
import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import gym_spaces

# gym would tell each process of a run that gymnasium exists.
notices.notices.clear()

# ruff: noqa: E402
import gym
from gym import spaces
from gym.envs import registration
from gym.wrappers import order_enforcing
from gym.wrappers import time_limit

_OWN_WRAPPERS = (time_limit.TimeLimit, order_enforcing.OrderEnforcing)


def task_names() -> Iterable[str]:
    """All ids that gym knows."""
    return list(registration.registry.env_specs)


def make_task(task: str, seed: int, can_render: bool = False) -> "GymEnvironment":
    """The environment with gym id `task`.

    Raises:
      TaskError: gym can't make it, or its spaces don't fit.
    """
    name = f"gym:{task}"
    del can_render  # Its tasks can always be asked to draw.
    try:
        with warnings.catch_warnings():
            # pygame 2.1 uses pkg_resources, which warns of its own end.
            warnings.simplefilter("ignore", UserWarning)
            module, _, gym_id = task.rpartition(":")
            if module:  # gym 0.23 looks for the whole name, whatever its documentation says
                importlib.import_module(module)
            environment = gym.make(gym_id)
    except Exception as error:  # Whatever a third party's constructor raises is the task's fault here.
        raise errors.TaskError(f"environment '{name}' can't be made: {type(error).__name__}: {error}") from error
    return GymEnvironment(name, environment, seed)


class GymEnvironment:
    """One gym environment behind `core.interfaces.SeedableEnvironment`."""

    def __init__(self, name: str, environment: gym.Env, seed: int) -> None:
        self._environment = environment
        self._inner, limit = _without_own_wrappers(environment)
        observation_space, action_space = environment.observation_space, environment.action_space
        self._spec = gym_spaces.make_spec(name, observation_space, action_space, limit, spaces)
        self._flattener = gym_spaces.make_flattener(self._spec, observation_space, spaces)
        self._flatten = self._flattener.flatten
        self._act = gym_spaces.make_act(action_space, spaces)
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
        if seed is None:
            observation = self._inner.reset()
        elif _takes_seed(self._inner.unwrapped.reset):
            observation = self._inner.reset(seed=seed)
        else:
            self._inner.seed(seed)
            observation = self._inner.reset()
        self._flattener.check(observation)
        flat = self._flatten(observation)
        border.check_finite(self._spec, flat, 0.0)
        return flat

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """One step by an int or a float32 [A] action: observation [D], reward, terminated, truncated.

        Raises:
          NumericalError: the observation or the reward has a NaN or an infinity.
        """
        observation, reward, done, info = self._step(self._act(action))
        self._num_steps += 1
        flat = self._flatten(observation)
        if not math.isfinite(flat.dot(flat)) or not math.isfinite(reward):
            border.check_finite(self._spec, flat, float(reward))
        if done:
            is_truncated = bool(info.get("TimeLimit.truncated", False))
            return flat, float(reward), not is_truncated, is_truncated
        return flat, float(reward), False, self._num_steps >= self._max_steps

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [height, width, 3].

        Raises:
          TaskError: this task can't draw itself, or not on this machine.
        """
        try:
            frame = self._inner.render(mode="rgb_array")
        except Exception as error:  # Drawing is the task's own code, with its own errors.
            reason = str(error) or "its environment says no more"
            raise errors.TaskError(f"{self._spec.name}: can't be drawn: {type(error).__name__}: {reason}") from error
        return border.checked_frame(self._spec.name, frame)

    def close(self) -> None:
        """Frees what it holds."""
        self._environment.close()


def _takes_seed(reset: Callable[..., Any]) -> bool:
    """Whether `reset` is of gym's newer form; environments of the older one have a method `seed`."""
    parameters = inspect.signature(reset).parameters
    return "seed" in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())


def _without_own_wrappers(environment: Any) -> tuple[gym.Env, int | None]:
    """The environment inside gym's order check and time limit, and that limit."""
    limits = []
    while type(environment) in _OWN_WRAPPERS:
        if isinstance(environment, time_limit.TimeLimit):
            limits.append(environment._max_episode_steps)
        environment = environment.env
    return environment, min(limits, default=None)
