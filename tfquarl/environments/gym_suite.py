"""Tasks of gym 0.23 by their id, e.g. 'gym:CartPole-v1'; also 'gym:package:Task-v0', which imports package first."""

from collections.abc import Callable
from collections.abc import Iterable
import importlib
import inspect
import math
from typing import Any
import warnings

from gym_notices import notices
import numpy as np

from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import gym_environment

# gym would tell each process of a run that gymnasium exists.
notices.notices.clear()

# ruff: noqa: E402
import gym
from gym.envs import registration


def task_names() -> Iterable[str]:
    """All ids that gym knows."""
    return list(registration.registry.env_specs)


def registered_id(task: str) -> str:
    """The id that `task` is registered by in gym, once the module in front of it, if there is one, is imported.

    gym 0.23 looks for the whole name, whatever its documentation says.
    """
    module, _, gym_id = task.rpartition(":")
    if module:
        importlib.import_module(module)
    return gym_id


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
            environment = gym.make(registered_id(task))
    except Exception as error:  # Whatever a third party's constructor raises is the task's fault here.
        raise errors.TaskError(f"environment '{name}' can't be made: {type(error).__name__}: {error}") from error
    return GymEnvironment(name, environment, seed)


class GymEnvironment(gym_environment.GymLikeEnvironment):
    """One gym environment behind `core.interfaces.SeedableEnvironment`."""

    def __init__(self, name: str, environment: gym.Env, seed: int) -> None:
        super().__init__(name, environment, seed, gym)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """As `GymLikeEnvironment`."""
        observation, reward, done, info = self._step(self._act(action))
        self._num_steps += 1
        flat = self._flatten(observation)
        if not math.isfinite(flat.dot(flat)) or not math.isfinite(reward):
            border.check_finite(self._spec, flat, float(reward))
        if done:
            is_truncated = bool(info.get("TimeLimit.truncated", False))
            return flat, float(reward), not is_truncated, is_truncated
        return flat, float(reward), False, self._num_steps >= self._max_steps

    def _reset(self, seed: int | None) -> Any:
        if seed is None:
            return self._inner.reset()
        if _takes_seed(self._inner.unwrapped.reset):
            return self._inner.reset(seed=seed)
        self._inner.seed(seed)
        return self._inner.reset()

    def _draw(self) -> Any:
        return self._inner.render(mode="rgb_array")


def _takes_seed(reset: Callable[..., Any]) -> bool:
    """Whether `reset` is of gym's newer form; environments of the older one have a method `seed`."""
    parameters = inspect.signature(reset).parameters
    return "seed" in parameters or any(item.kind is item.VAR_KEYWORD for item in parameters.values())
