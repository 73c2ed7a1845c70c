"""The spaces of gym and gymnasium, which agree in their attributes, as an `EnvironmentSpec`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import border
from tfquarl.environments import flattening


def make_spec(
    name: str, observation_space: Any, action_space: Any, max_episode_steps: int | None, spaces: Any
) -> environment_spec.EnvironmentSpec:
    """The boundary of an environment with these spaces.

    Args:
      name: of the environment.
      observation_space: a Box, or a Dict of Boxes, which are flattened in the order of the Dict.
      action_space: a Discrete or a bounded Box.
      max_episode_steps: its time limit, or None.
      spaces: the module with the classes, `gym.spaces` or `gymnasium.spaces`.

    Raises:
      TaskError: a space of another kind, or without bounds.
    """
    fields = border.observation_fields(name, _boxes(name, observation_space, spaces))
    if isinstance(action_space, spaces.Discrete):
        return environment_spec.EnvironmentSpec(
            name, fields, num_actions=int(action_space.n), max_episode_steps=max_episode_steps
        )
    if not isinstance(action_space, spaces.Box):
        raise errors.TaskError(f"{name}: its action space is {action_space}; {border.FITS}")
    low, high = border.action_bounds(name, action_space.low, action_space.high)
    return environment_spec.EnvironmentSpec(
        name, fields, action_low=low, action_high=high, max_episode_steps=max_episode_steps
    )


def make_flattener(
    spec: environment_spec.EnvironmentSpec, observation_space: Any, spaces: Any
) -> flattening.ArrayFlattener | flattening.MappingFlattener:
    """What makes the environment's observation the flat one."""
    is_mapping = isinstance(observation_space, spaces.Dict)
    return flattening.MappingFlattener(spec) if is_mapping else flattening.ArrayFlattener(spec)


def make_act(action_space: Any, spaces: Any) -> Callable[[Any], Any]:
    """The function from tfquarl's action, an int from 0 or a float32 [A], to the environment's own.

    What it gives is a new array, which the environment may keep or change: the replay has the action itself.
    """
    if isinstance(action_space, spaces.Discrete):
        start = int(getattr(action_space, "start", 0))
        return int if start == 0 else lambda action: int(action) + start
    fit, shape = _make_fit(action_space), action_space.shape
    return fit if len(shape) == 1 else lambda action: fit(action).reshape(shape)


def make_act_together(action_space: Any, num_environments: int, spaces: Any) -> Callable[[list[int] | np.ndarray], Any]:
    """The function from actions, ints [K] or float32 [K, A], to those of K environments with `action_space` each."""
    if isinstance(action_space, spaces.Discrete):
        start, dtype = int(getattr(action_space, "start", 0)), action_space.dtype
        return lambda actions: np.asarray(actions, dtype) + start if start else np.asarray(actions, dtype)
    fit, shape = _make_fit(action_space), (num_environments, *action_space.shape)
    return lambda actions: fit(actions).reshape(shape)


def _make_fit(box: Any) -> Callable[[Any], np.ndarray]:
    """The function from actions, float32 [..., A], to new ones of the box's dtype that lie within its own bounds.

    The bounds that actions come in are the box's rounded to float32, which may lie outside: so does 0.3, and 2^31 - 1 becomes 2^31.
    """
    dtype = box.dtype
    if dtype == np.float32:
        return _copy
    low, high = (np.ravel(bound).astype(np.float64) for bound in (box.low, box.high))
    if dtype.kind == "f":
        return lambda actions: np.clip(actions, low, high).astype(dtype)
    return lambda actions: np.clip(np.rint(actions), low, high).astype(dtype)


def _copy(action: np.ndarray) -> np.ndarray:
    return action.copy()


def _boxes(name: str, space: Any, spaces: Any) -> list[tuple[str, tuple[int, ...], np.dtype]]:
    boxes = dict(space.spaces) if isinstance(space, spaces.Dict) else {"observation": space}
    for key, box in boxes.items():
        if not isinstance(box, spaces.Box):
            raise errors.TaskError(f"{name}: observation '{key}' is {box}; {border.FITS}")
    return [(key, box.shape, box.dtype) for key, box in boxes.items()]
