"""Tasks of the DeepMind Control Suite, e.g. 'dm_control:walker-stand': domain, hyphen, task.

An episode that its time limit ends is truncated (dm_control gives it discount 1); one with discount 0 is terminated.
"""

from collections.abc import Iterable
import math
import os
from typing import Any

from dm_control import suite
from dm_control.mujoco import wrapper
from dm_control.rl import control
import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import flattening
from tfquarl.environments import graphics
from tfquarl.environments import named_indexing
from tfquarl.environments import physics_stepping

_MODEL_SEED = 0
_HEIGHT, _WIDTH = 240, 320
_FREE_CAMERA = -1  # which MuJoCo places itself, for models without one
_NO_OPENGL = "No OpenGL rendering backend"  # of dm_control's error, which is a plain RuntimeError


def task_names() -> Iterable[str]:
    """All tasks of the suite."""
    return [f"{domain}-{task}" for domain, task in suite.ALL_TASKS]


def make_task(task: str, seed: int, can_render: bool = False) -> "DmControlEnvironment":
    """The suite's `task`, e.g. 'walker-stand'. Whether it can draw was decided when dm_control was imported.

    Raises:
      TaskError: it has an unbounded action.
    """
    del can_render
    domain, _, task_in_domain = task.partition("-")
    # lqr draws springs and dampers of its model here, and is to be the same system for every seed.
    environment = DmControlEnvironment(
        f"dm_control:{task}", suite.load(domain, task_in_domain, task_kwargs={"random": _MODEL_SEED})
    )
    environment.seed(seed)
    return environment


class DmControlEnvironment:
    """One task of the suite behind `core.interfaces.SeedableEnvironment`; its actions keep their own bounds."""

    def __init__(self, name: str, environment: control.Environment) -> None:
        """Looks up what each step needs.

        Raises:
          TaskError: an unbounded action, or an environment whose step is another than dm_control's own, which `step` here does anew.
        """
        if type(environment).step is not control.Environment.step or environment._flat_observation:
            raise errors.TaskError(
                f"{name}: is a {type(environment).__name__} with a step of its own or a flat observation; needs the bare "
                "dm_control.rl.control.Environment of a task, so leave out wrappers, subclasses and flat_observation=True"
            )
        self._environment = environment
        self._spec = _make_spec(name, environment)
        self._flattener = flattening.MappingFlattener(self._spec)
        self._flatten = self._flattener.flatten
        self._task, self._physics = environment.task, environment.physics
        self._bind()
        self._load_physics = self._physics._reload_from_data
        self._physics._reload_from_data = self._reload
        self._num_substeps = environment._n_sub_steps  # which stays, whatever timestep a task's next model has
        self._max_steps = math.inf if self._spec.max_episode_steps is None else self._spec.max_episode_steps
        self._num_steps = 0

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Its boundary."""
        return self._spec

    def seed(self, seed: int) -> None:
        """Makes the next episode, and those after it, depend on `seed` and the actions alone."""
        self._environment.task.random.seed(seed)

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D].

        Raises:
          TaskError: the simulation diverged, or the task can't begin an episode, e.g. because it draws its ground anew and no graphics
            library is loaded.
          NumericalError: the observation has a NaN or an infinity.
        """
        self._num_steps = 0
        try:
            observation = self._environment.reset().observation
        except control.PhysicsError as error:
            raise self._diverged(error) from error
        except RuntimeError as error:
            remedy = (
                f" with MUJOCO_GL={os.environ.get('MUJOCO_GL')}; {graphics.REMEDY}" if _NO_OPENGL in str(error) else ""
            )
            raise errors.TaskError(f"{self._spec.name}: can't begin an episode: {error}{remedy}") from error
        self._flattener.check(observation)
        flat = self._flatten(observation)
        border.check_finite(self._spec, flat, 0.0)
        return flat

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """One step by a float32 [A] action: observation [D], reward, terminated, truncated.

        Raises:
          TaskError: the simulation diverged.
          NumericalError: the observation or the reward has a NaN or an infinity.
        """
        # What dm_control's Environment.step does, in its order, without the TimeStep around it.
        task, physics = self._task, self._physics
        try:
            task.before_step(action, physics)
            self._advance(self._num_substeps)
            task.after_step(physics)
        except control.PhysicsError as error:
            raise self._diverged(error) from error
        reward = float(task.get_reward(physics))
        flat = self._flatten(task.get_observation(physics))
        if not math.isfinite(flat.dot(flat)) or not math.isfinite(reward):
            border.check_finite(self._spec, flat, reward)
        self._num_steps += 1
        if self._num_steps >= self._max_steps:
            return flat, reward, False, True
        discount = task.get_termination(physics)
        if discount is None:
            return flat, reward, False, False
        return flat, reward, discount == 0.0, discount != 0.0

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [240, 320, 3].

        Raises:
          TaskError: no way to draw on this machine, or dm_control was imported before anyone asked for pictures.
        """
        try:
            physics = self._environment.physics
            camera = 0 if physics.model.ncam else _FREE_CAMERA
            frame = physics.render(height=_HEIGHT, width=_WIDTH, camera_id=camera)
        except Exception as error:  # OpenGL's bindings raise errors of many modules.
            raise errors.TaskError(
                f"{self._spec.name}: can't be drawn with MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {type(error).__name__}: "
                f"{error}; {graphics.REMEDY}"
            ) from error
        return border.checked_frame(self._spec.name, frame)

    def close(self) -> None:
        """Frees what it holds."""
        self._environment.close()

    def _diverged(self, error: control.PhysicsError) -> errors.TaskError:
        return errors.TaskError(f"{self._spec.name}: its simulation diverged: {error}")

    def _reload(self, data: wrapper.MjData) -> None:
        """In the place of the physics' own method, by which a task gets another model: every way to replace it leads here."""
        self._load_physics(data)
        self._bind()

    def _bind(self) -> None:
        """Looks up what every step needs of the physics' present model."""
        named_indexing.remember_names(self._physics)
        self._physics.set_control = physics_stepping.bind_control(self._physics)
        self._physics.step = self._advance = physics_stepping.bind_step(self._physics)


def _make_spec(name: str, environment: control.Environment) -> environment_spec.EnvironmentSpec:
    observations = environment.observation_spec()
    fields = border.observation_fields(name, ((key, item.shape, item.dtype) for key, item in observations.items()))
    action = environment.action_spec()
    low, high = border.action_bounds(
        name, np.broadcast_to(action.minimum, action.shape), np.broadcast_to(action.maximum, action.shape)
    )
    # dm_control counts steps up to a limit that time_limit / timestep makes, which may have a fraction.
    limit = environment._step_limit
    max_steps = None if math.isinf(limit) else math.ceil(limit)
    return environment_spec.EnvironmentSpec(name, fields, action_low=low, action_high=high, max_episode_steps=max_steps)
