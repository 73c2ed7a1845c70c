"""Tests of environments/dm_control_suite.py, beside dm_control's own environments."""

from collections.abc import Callable
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.environments import graphics

graphics.prepare(can_render=False)

# ruff: noqa: E402
from dm_control import mujoco
from dm_control import suite
from dm_control.rl import control
from dm_control.suite import base
from dm_control.suite.wrappers import action_scale
from dm_env import specs

from tfquarl.environments import dm_control_suite

# RK4, two substeps, ten substeps, three fields, a scalar field, a float reward.
_LONGER = ("cartpole-balance", "finger-spin", "walker-stand", "reacher-hard", "humanoid-stand", "cheetah-run")


@pytest.mark.parametrize("task", [name for name in dm_control_suite.task_names() if name != "quadruped-escape"])
def test_steps_as_dm_control_does(task: str) -> None:
    environment = dm_control_suite.make_task(task, seed=5)
    bare = suite.load(*task.split("-"), task_kwargs={"random": 0})  # of which lqr makes its model
    bare.task.random.seed(5)
    low, high = environment.spec.action_bounds
    num_steps = 60 if task in _LONGER else 5
    actions = np.random.default_rng(0).uniform(low, high, (num_steps, len(low))).astype(np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(environment.reset(), _flat(bare.reset()))
        for action in actions:
            time_step = bare.step(action)
            observation, *rest = environment.step(action)
            np.testing.assert_array_equal(observation, _flat(time_step))
            assert rest == [time_step.reward, False, False]


def test_a_task_that_needs_graphics_says_so() -> None:
    environment = dm_control_suite.make_task("quadruped-escape", seed=1)
    if os.environ["MUJOCO_GL"] == "disable":
        with pytest.raises(
            errors.TaskError,
            match=r"quadruped-escape: can't begin an episode: No OpenGL .* with MUJOCO_GL=disable; .*egl",
        ):
            environment.reset()


@pytest.mark.parametrize(
    "error, match",
    [
        pytest.param(control.PhysicsError("too fast"), "its simulation diverged: too fast$", id="divergence"),
        pytest.param(RuntimeError("no dice"), "can't begin an episode: no dice$", id="the task's own"),
    ],
)
def test_an_episode_that_cannot_begin_tells_why(monkeypatch: pytest.MonkeyPatch, error: Exception, match: str) -> None:
    def initialize_episode(physics) -> None:
        raise error

    bare = suite.load("cheetah", "run", task_kwargs={"random": 1})
    monkeypatch.setattr(bare.task, "initialize_episode", initialize_episode)
    with pytest.raises(errors.TaskError, match=f"^mine:task: {match}"):
        dm_control_suite.DmControlEnvironment("mine:task", bare).reset()


def _flat(time_step) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in time_step.observation.values()]).astype(np.float32)


def test_spec_has_fields_in_dm_controls_order_and_its_own_bounds() -> None:
    spec = dm_control_suite.make_task("walker-stand", seed=1).spec
    got = [(field.name, field.shape, field.offset) for field in spec.observation_fields]
    assert got == [("orientations", (14,), 0), ("height", (), 14), ("velocity", (9,), 15)]
    assert spec.action_low == (-1.0,) * 6 and spec.max_episode_steps == 1000


def test_time_limit_is_a_truncation() -> None:
    environment = dm_control_suite.make_task("reacher-hard", seed=1)
    environment.reset()
    ends = [environment.step(np.zeros(2, np.float32))[2:] for _ in range(1000)]
    assert ends == [(False, False)] * 999 + [(False, True)]


def test_discount_zero_is_a_termination(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = suite.load("reacher", "hard", task_kwargs={"random": 1})
    monkeypatch.setattr(bare.task, "get_termination", lambda physics: 0.0)
    environment = dm_control_suite.DmControlEnvironment("dm_control:reacher-hard", bare)
    environment.reset()
    assert environment.step(np.zeros(2, np.float32))[2:] == (True, False)


def test_seed_decides_the_episodes_whatever_was_before() -> None:
    environment = dm_control_suite.make_task("reacher-hard", seed=1)
    first = environment.reset()
    environment.step(np.ones(2, np.float32))
    second = environment.reset()
    environment.seed(1)
    np.testing.assert_array_equal(environment.reset(), first)
    assert (first != second).any()


@pytest.mark.parametrize("task", ["lqr-lqr_2_1", "lqr-lqr_6_2", "reacher-hard"])
def test_an_episode_does_not_depend_on_the_seed_that_the_environment_was_made_with(task: str) -> None:
    """Of a run's collectors, and of the evaluator, each has another one."""
    episodes = []
    for seed in (1, 2):
        environment = dm_control_suite.make_task(task, seed)
        environment.seed(11)
        first = environment.reset()
        action = np.full(len(environment.spec.action_low), 0.5, np.float32)
        episodes.append([first, *(environment.step(action)[0] for _ in range(5))])
    np.testing.assert_array_equal(*episodes)


def test_divergence_and_nan_are_stopped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = dm_control_suite.make_task("cheetah-run", seed=1)
    environment.reset()
    with pytest.raises(errors.TaskError, match=r"dm_control:cheetah-run: its simulation diverged: .*BADCTRL"):
        environment.step(np.full(6, np.nan, np.float32))
    bare = suite.load("cheetah", "run", task_kwargs={"random": 1})
    monkeypatch.setattr(bare.task, "get_reward", lambda physics: float("nan"))
    environment = dm_control_suite.DmControlEnvironment("dm_control:cheetah-run", bare)
    environment.reset()
    with pytest.raises(errors.NumericalError, match=r"dm_control:cheetah-run.*reward is nan"):
        environment.step(np.zeros(6, np.float32))


class _Stepping(control.Environment):
    def step(self, action):
        return super().step(-action)


def _flat_cheetah() -> control.Environment:
    return suite.load("cheetah", "run", environment_kwargs={"flat_observation": True})


def _scaled_cheetah() -> action_scale.Wrapper:
    return action_scale.Wrapper(suite.load("cheetah", "run"), -2.0, 2.0)


def _stepping_cheetah() -> control.Environment:
    bare = suite.load("cheetah", "run")
    return _Stepping(bare.physics, bare.task)


@pytest.mark.parametrize("make", [_flat_cheetah, _scaled_cheetah, _stepping_cheetah])
def test_another_step_than_dm_controls_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(
        errors.TaskError, match=r"^mine:cheetah: .* needs the bare dm_control\.rl\.control\.Environment"
    ):
        dm_control_suite.DmControlEnvironment("mine:cheetah", make())


def test_unbounded_actions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = suite.load("cheetah", "run", task_kwargs={"random": 1})
    unbounded = specs.BoundedArray((6,), np.float64, -np.inf, np.inf)
    monkeypatch.setattr(bare.task, "action_spec", lambda physics: unbounded)
    with pytest.raises(errors.TaskError, match="finite bounds"):
        dm_control_suite.DmControlEnvironment("dm_control:cheetah-run", bare)


def test_drawing_without_graphics_says_what_to_set() -> None:
    environment = dm_control_suite.make_task("cheetah-run", seed=1)
    environment.reset()
    if os.environ["MUJOCO_GL"] == "disable":
        with pytest.raises(errors.TaskError, match=r"can't be drawn with MUJOCO_GL=disable.*egl"):
            environment.render()


_SLIDER = """
<mujoco>
  <worldbody>%s<body><joint name="x" type="slide"/><geom size="0.1"/></body></worldbody>
  <actuator><motor joint="x" ctrlrange="-1 1" ctrllimited="true"/></actuator>
</mujoco>
"""


class _Slide(base.Task):
    def get_observation(self, physics):
        return {"position": physics.position()}

    def get_reward(self, physics) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("cameras", "drawn_by"),
    [pytest.param("", -1, id="the free one"), pytest.param("<camera/><camera/>", 0, id="its first one")],
)
def test_a_picture_is_of_a_camera_that_the_model_has(
    monkeypatch: pytest.MonkeyPatch, cameras: str, drawn_by: int
) -> None:
    physics = mujoco.Physics.from_xml_string(_SLIDER % cameras)
    environment = dm_control_suite.DmControlEnvironment("mine:slide", control.Environment(physics, _Slide(random=1)))
    environment.reset()
    asked = []

    def render(height: int, width: int, camera_id: int) -> np.ndarray:
        asked.append(camera_id)
        return np.zeros((height, width, 3), np.uint8)

    monkeypatch.setattr(physics, "render", render)
    assert environment.render().shape == (240, 320, 3) and asked == [drawn_by]


def test_collectors_load_no_graphics_library() -> None:
    program = (
        "import sys; from tfquarl.environments import registry; registry.make('dm_control:cheetah-run', 1); "
        "print({'OpenGL', 'glfw', 'tensorflow', 'gym'} & set(sys.modules))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr
