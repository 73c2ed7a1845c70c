"""Tests of environments/registry.py."""

import ctypes.util
import os
import subprocess
import sys

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import registry
from tfquarl.testing import scripted_environment


@pytest.mark.parametrize(
    "name, closest",
    [
        pytest.param("gym:Cartpole-v1", "'gym:CartPole-v1'", id="wrong case"),
        pytest.param("dm_control:walker-stnd", "'dm_control:walker-stand'", id="missing letter"),
        pytest.param("CartPole-v1", "'gym:CartPole-v1'", id="no suite"),
        pytest.param("dmcontrol:walker-stand", "'dm_control:walker-stand'", id="wrong suite"),
        pytest.param("gym:", "gym:", id="no task"),
        pytest.param("gym:xyzzyxyzzy", "none of", id="nothing close"),
    ],
)
def test_unknown_names_answer_with_the_closest_known_ones(name: str, closest: str) -> None:
    with pytest.raises(errors.ConfigError, match=closest):
        registry.make(name, seed=1)


def test_spec_is_that_of_the_environment() -> None:
    got = registry.spec("gym:CartPole-v1")
    fields = (environment_spec.ObservationField("observation", (4,), 0),)
    assert got == environment_spec.EnvironmentSpec("gym:CartPole-v1", fields, num_actions=2, max_episode_steps=500)


def test_action_repeat_shortens_the_time_limit() -> None:
    assert registry.spec("gym:MountainCar-v0", action_repeat=3).max_episode_steps == 67  # ceil(200 / 3)
    with pytest.raises(ValueError, match="action_repeat is 0"):
        registry.make("gym:MountainCar-v0", seed=1, action_repeat=0)


def test_a_registered_suite_is_made_by_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    made = []

    def make_task(task: str, seed: int, can_render: bool) -> scripted_environment.ScriptedEnvironment:
        made.append((task, seed, can_render))
        return scripted_environment.ScriptedEnvironment([[(1.0, "terminated")]])

    registry.register_suite("mine", make_task, task_names=lambda: ["maze", "maze-large"])
    assert "mine" in registry.suites()
    environment = registry.make("mine:maze", seed=7, can_render=True)
    np.testing.assert_array_equal(environment.reset(), [0, 0])
    assert made == [("maze", 7, True)]
    with pytest.raises(errors.ConfigError, match="'mine:maze'"):
        registry.make("mine:maize", seed=7)
    with pytest.raises(ValueError, match="'mine' is taken"):
        registry.register_suite("mine", make_task)
    with pytest.raises(ValueError, match="'gym' is taken"):
        registry.register_suite("gym", make_task)


class _Reusing(scripted_environment.ScriptedEnvironment):
    """Has one buffer for all observations, and changes the actions that it is given."""

    def __init__(self) -> None:
        super().__init__([[(0.0, "")] * 3], num_actions=None)
        self._buffer = np.zeros(2, np.float32)

    def reset(self) -> np.ndarray:
        self._buffer[:] = super().reset()
        return self._buffer

    def step(self, action):
        observation, *rest = super().step(action)
        self._buffer[:] = observation
        action[:] = 0
        return (self._buffer, *rest)


def test_a_registered_suite_may_reuse_its_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_suite("mine", lambda task, seed, can_render: _Reusing())
    environment = registry.make("mine:maze", seed=7)
    actions = [np.float32([0.25, 1]), np.float32([0.5, 2])]
    observations = [environment.reset(), *(environment.step(action)[0] for action in actions)]
    np.testing.assert_array_equal(observations, [[0, 0], [0, 1], [0, 2]])
    np.testing.assert_array_equal(actions, [[0.25, 1], [0.5, 2]])


@pytest.mark.parametrize("suite", ["gym", "gymnasium"])
def test_an_unknown_task_tells_how_own_ones_are_named(suite: str) -> None:
    with pytest.raises(errors.ConfigError, match=f"'{suite}:<module>:Arm-v0'"):
        registry.make(f"{suite}:Arm-v0", seed=7)


@pytest.mark.parametrize("task", ["my_module:Arm-v0", "cartpole-balance:x"])
def test_no_module_stands_before_a_task_of_dm_control(task: str) -> None:
    with pytest.raises(
        errors.ConfigError, match=f"'dm_control:{task}' is unknown; .*; a task of your own needs a suite"
    ):
        registry.make(f"dm_control:{task}", seed=7)


def test_a_registered_suite_may_have_colons_in_its_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})

    def make_task(task: str, seed: int, can_render: bool) -> scripted_environment.ScriptedEnvironment:
        return scripted_environment.ScriptedEnvironment([[(1.0, "terminated")]])

    registry.register_suite("mine", make_task, task_names=lambda: ["maze:small"])
    registry.make("mine:maze:small", seed=7)
    with pytest.raises(
        errors.ConfigError, match=r"'mine:maze:smal' is unknown; the closest known ones are 'mine:maze:small'$"
    ):
        registry.make("mine:maze:smal", seed=7)


@pytest.mark.parametrize(
    "backend, reason",
    [
        pytest.param("foo", "RuntimeError: Environment variable MUJOCO_GL must be one of", id="no backend"),
        pytest.param("osmesa", "AttributeError: 'NoneType' object has no attribute", id="missing library"),
    ],
)
def test_a_backend_that_cannot_be_loaded_is_one_line_that_names_it(backend: str, reason: str) -> None:
    if backend == "osmesa" and ctypes.util.find_library("OSMesa"):
        pytest.skip("OSMesa is installed")
    program = (
        "from tfquarl.core import errors; from tfquarl.environments import registry\n"
        "try: registry.make('dm_control:cheetah-run', 1)\n"
        "except errors.TaskError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MUJOCO_GL": backend},
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"suite 'dm_control' can't be loaded with MUJOCO_GL={backend}: {reason}"), done.stderr
    assert "start the program with MUJOCO_GL=egl, or osmesa" in line


def test_a_suite_is_loaded_only_when_it_is_used() -> None:
    program = (
        "import sys; from tfquarl.environments import registry; registry.make('gym:CartPole-v1', 1); "
        "print({'mujoco', 'dm_control', 'gymnasium', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")
