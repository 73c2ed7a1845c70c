"""Tasks of gymnasium by their id, e.g. 'gymnasium:Pendulum-v1'; also 'gymnasium:package:Task-v0', which imports package first."""

from collections.abc import Iterable
import math
from typing import Any
import warnings

import gymnasium
import numpy as np

from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import gym_environment
from tfquarl.environments import gymnasium_vector

make_vector_task = gymnasium_vector.make_vector_task


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


class GymnasiumEnvironment(gym_environment.GymLikeEnvironment):
    """One gymnasium environment behind `core.interfaces.SeedableEnvironment`."""

    def __init__(self, name: str, environment: gymnasium.Env, seed: int) -> None:
        super().__init__(name, environment, seed, gymnasium)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """As `GymLikeEnvironment`."""
        observation, reward, terminated, truncated, _ = self._step(self._act(action))
        self._num_steps += 1
        flat, reward = self._flatten(observation), float(reward)
        if not math.isfinite(flat.dot(flat)) or not math.isfinite(reward):
            border.check_finite(self._spec, flat, reward)
        if terminated:
            return flat, reward, True, False
        return flat, reward, False, bool(truncated) or self._num_steps >= self._max_steps

    def render(self) -> np.ndarray:
        """As `GymLikeEnvironment`."""
        if self._environment.render_mode != "rgb_array":
            raise errors.TaskError(f"{self._spec.name}: can't be drawn; make it with can_render=True")
        return super().render()

    def _reset(self, seed: int | None) -> Any:
        return self._inner.reset(seed=seed)[0]

    def _draw(self) -> Any:
        return self._inner.render()
