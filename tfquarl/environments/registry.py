"""Environments by name: '<suite>:<task>', e.g. 'gym:CartPole-v1', 'gymnasium:Pendulum-v1' or 'dm_control:walker-stand'.

A suite is imported when one of its tasks is first made, so that a collector of gym tasks never loads MuJoCo. A suite of one's
own takes a function and a line, in a program of one's own (docs/own_environments.md):

    registry.register_suite("my", make_my_task, task_names=lambda: ["maze", "maze-large"])
    environment = registry.make("my:maze", seed=1)
"""

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import difflib
import importlib
import os
from typing import Protocol

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.environments import action_repeat as action_repeat_lib
from tfquarl.environments import graphics
from tfquarl.environments import own_arrays


class TaskFactory(Protocol):
    """Makes one task of a suite."""

    def __call__(self, task: str, seed: int, can_render: bool) -> interfaces.SeedableEnvironment:
        """The task named `task` (without the suite), its episodes decided by `seed`; `can_render`: pictures will be asked for.

        Raises:
          TaskError: it can't be made, or its spaces don't fit.
        """
        ...


class VectorTaskFactory(Protocol):
    """Makes K copies of one task of a suite that steps them by one call."""

    def __call__(self, task: str, num_environments: int, seed: int) -> interfaces.VectorEnvironment:
        """K of the task named `task` (without the suite), their episodes decided by `seed`.

        Raises:
          TaskError: the suite can't step this task so, or can't make it.
        """
        ...


@dataclasses.dataclass(frozen=True)
class _Suite:
    make: TaskFactory
    task_names: Callable[[], Iterable[str]]
    make_vector: VectorTaskFactory | None = None


_BUILT_IN = {
    "dm_control": "tfquarl.environments.dm_control_suite",
    "gym": "tfquarl.environments.gym_suite",
    "gymnasium": "tfquarl.environments.gymnasium_suite",
}
_GYM_LIKE = ("gym", "gymnasium")
# How a suite that can't have a task is told to get it.
_OWN_TASKS = {
    "dm_control": "a task of your own needs a suite of your own (docs/own_environments.md)",
    **{prefix: f"one that your own module registers is '{prefix}:<module>:{{task}}'" for prefix in _GYM_LIKE},
}
_registered: dict[str, _Suite] = {}


def register_suite(
    prefix: str,
    make_task: TaskFactory,
    task_names: Callable[[], Iterable[str]] = tuple,
    make_vector_task: VectorTaskFactory | None = None,
) -> None:
    """Adds a suite to this process.

    A run's processes import the file of the program that started it: called there outside of any function, it adds the suite to all.

    Args:
      prefix: what stands before the colon in its tasks' names.
      make_task: makes one of its tasks.
      task_names: its known tasks. Where they are given, others are refused with the closest known ones.
      make_vector_task: makes K copies of a task that the suite steps by one call; None where it has no such code. Its arrays must be new
        ones at each step, as they are kept.

    Raises:
      ValueError: `prefix` is taken or has a colon.
    """
    if prefix in _BUILT_IN or prefix in _registered or ":" in prefix or not prefix:
        raise ValueError(f"suite prefix '{prefix}' is taken, empty or has a colon; known ones: {', '.join(suites())}")
    _registered[prefix] = _Suite(make_task, task_names, make_vector_task)


def suites() -> list[str]:
    """Prefixes of all suites."""
    return sorted({*_BUILT_IN, *_registered})


def suite_module(name: str) -> str | None:
    """The module that the environment called `name` comes from, for who imports it early; None for a suite of the user's own."""
    return _BUILT_IN.get(name.partition(":")[0])


def make(name: str, seed: int, action_repeat: int = 1, can_render: bool = False) -> interfaces.SeedableEnvironment:
    """Makes the environment called `name`.

    Args:
      name: '<suite>:<task>'.
      seed: decides its episodes; the same seed gives the same episodes for the same actions.
      action_repeat: environment steps that each action is held for; their rewards are summed.
      can_render: whether `render` will be called. Without it no graphics library is loaded.

    Raises:
      ConfigError: no such suite or task; the message has the closest known names.
      TaskError: the task can't be made here, or its spaces don't fit.
      ValueError: `action_repeat` is less than 1.
    """
    if action_repeat < 1:
        raise ValueError(f"{name}: action_repeat is {action_repeat}, needs 1 or more")
    graphics.prepare(can_render)
    suite, task = _find_task(name)
    environment = suite.make(task, seed, can_render)
    if suite_module(name) is None:
        environment = own_arrays.OwnArrays(environment)
    return environment if action_repeat == 1 else action_repeat_lib.ActionRepeat(environment, action_repeat)


def make_vector(name: str, num_environments: int, seed: int) -> interfaces.VectorEnvironment:
    """Makes K copies of the environment called `name` that their suite steps by one call.

    Raises:
      ConfigError: no such suite or task, or a suite that steps one environment at a time.
      TaskError: the suite can't step this task so, or can't make it here.
    """
    graphics.prepare(False)
    suite, task = _find_task(name)
    if suite.make_vector is None:
        raise errors.ConfigError(
            f"environment '{name}': its suite steps one environment at a time; set ScaleConfig.is_vectorized = False"
        )
    return suite.make_vector(task, num_environments, seed)


def spec(name: str, action_repeat: int = 1) -> environment_spec.EnvironmentSpec:
    """The boundary of the environment called `name`; raises as `make` does."""
    environment = make(name, seed=0, action_repeat=action_repeat)
    try:
        return environment.spec
    finally:
        environment.close()


def _find_task(name: str) -> tuple[_Suite, str]:
    """The suite, and the task, which is a known one where the suite tells its tasks."""
    prefix, suite, task = _find(name)
    known = list(suite.task_names())
    # A gym id with a module in front ('package:Task-v0') registers itself when it is made.
    is_own = prefix in _GYM_LIKE and ":" in task
    if known and task not in known and not is_own:
        hint = f"; {_OWN_TASKS[prefix].format(task=task)}" if prefix in _OWN_TASKS else ""
        raise errors.ConfigError(
            f"environment '{name}' is unknown; " + _closest(name, (f"{prefix}:{other}" for other in known)) + hint
        )
    return suite, task


def _find(name: str) -> tuple[str, _Suite, str]:
    prefix, _, task = name.partition(":")
    if prefix not in suites() or not task:
        known = [f"{suite}:{task}" for suite in suites() for task in _load(suite).task_names()]
        raise errors.ConfigError(
            f"environment '{name}' names no suite; needs '<suite>:<task>' with one of the suites {', '.join(suites())}; "
            + _closest(name, known)
        )
    return prefix, _load(prefix), task


def _load(prefix: str) -> _Suite:
    if prefix in _registered:
        return _registered[prefix]
    try:
        module = importlib.import_module(_BUILT_IN[prefix])
    except ModuleNotFoundError as error:
        raise errors.TaskError(f"suite '{prefix}' can't be loaded: {error}; is its package installed?") from error
    except Exception as error:  # dm_control imports a binding of OpenGL, and each has errors of its own.
        raise errors.TaskError(
            f"suite '{prefix}' can't be loaded with MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {type(error).__name__}: {error}; "
            f"{graphics.REMEDY}, or MUJOCO_GL=disable where nothing is drawn"
        ) from error
    return _Suite(module.make_task, module.task_names, getattr(module, "make_vector_task", None))


def _closest(name: str, known: Iterable[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if not matches:
        return f"none of {len(by_lower)} known ones is close to it"
    return "the closest known ones are " + ", ".join(f"'{by_lower[match]}'" for match in matches)
