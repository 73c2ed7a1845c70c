"""Tasks that gymnasium steps K at a time by its own vector code, e.g. 'gymnasium:CartPole-v1'."""

import math
from typing import Any

import gymnasium
from gymnasium import vector
import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.environments import border
from tfquarl.environments import gym_spaces


def make_vector_task(task: str, num_environments: int, seed: int) -> "GymnasiumVectorEnvironment":
    """K environments with gymnasium id `task`.

    Raises:
      TaskError: gymnasium has no vector code for it, can't make it, or its spaces don't fit.
    """
    name = f"gymnasium:{task}"
    try:
        environment = gymnasium.make_vec(task, num_environments, vectorization_mode="vector_entry_point")
    except Exception as error:  # Whatever a third party's constructor raises is the task's fault here.
        raise errors.TaskError(
            f"environment '{name}' can't be made as a vector: {type(error).__name__}: {error}; set ScaleConfig.is_vectorized = False"
        ) from error
    mode = environment.metadata.get("autoreset_mode")
    if mode is not vector.AutoresetMode.NEXT_STEP:
        raise errors.TaskError(
            f"environment '{name}' begins episodes by {mode}, needs {vector.AutoresetMode.NEXT_STEP}; set ScaleConfig.is_vectorized = False"
        )
    return GymnasiumVectorEnvironment(name, environment, seed)


class GymnasiumVectorEnvironment:
    """A vector environment of gymnasium behind `core.interfaces.VectorEnvironment`."""

    def __init__(self, name: str, environment: vector.VectorEnv, seed: int) -> None:
        self._environment = environment
        single = environment.single_observation_space
        if not isinstance(single, gymnasium.spaces.Box):
            raise errors.TaskError(f"{name}: its observation space is {single}, a vector environment needs a Box")
        limit = environment.spec.max_episode_steps if environment.spec is not None else None
        action_space = environment.single_action_space
        self._spec = gym_spaces.make_spec(name, single, action_space, limit, gymnasium.spaces)
        self._act = gym_spaces.make_act_together(action_space, environment.num_envs, gymnasium.spaces)
        self._seed: int | None = seed
        self._ended = np.zeros(environment.num_envs, bool)

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Of each of them."""
        return self._spec

    @property
    def num_environments(self) -> int:
        """K."""
        return self._environment.num_envs

    def reset(self) -> np.ndarray:
        """Starts an episode in all of them; the first observations, float32 [K, D].

        Raises:
          NumericalError: one of them has a NaN or an infinity.
        """
        seed, self._seed = self._seed, None
        observations, _ = self._environment.reset(seed=seed)
        self._ended = np.zeros_like(self._ended)
        return self._checked(observations, np.zeros(len(observations)))

    def step(self, actions: list[int] | np.ndarray) -> interfaces.VectorStep:
        """One step by actions, ints [K] or float32 [K, A].

        Raises:
          NumericalError: an observation or a reward has a NaN or an infinity.
        """
        observations, rewards, terminated, truncated, _ = self._environment.step(self._act(actions))
        flat = self._checked(observations, rewards)
        truncated = truncated & ~terminated
        begins, self._ended = self._ended, terminated | truncated
        return interfaces.VectorStep(flat, rewards, terminated, truncated, begins)

    def close(self) -> None:
        """Frees what it holds."""
        self._environment.close()

    def _checked(self, observations: Any, rewards: np.ndarray) -> np.ndarray:
        """The observations as new float32 [K, D]."""
        flat = np.array(observations, np.float32).reshape(self.num_environments, -1)
        if not (math.isfinite(np.vdot(flat, flat)) and math.isfinite(rewards.dot(rewards))):
            for row, reward in zip(flat, rewards.tolist()):
                border.check_finite(self._spec, row, reward)
        return flat
