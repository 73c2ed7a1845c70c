"""Tests of environments/physics_stepping.py. That each task steps as dm_control's own is in dm_control_suite_test.py."""

from tfquarl.environments import graphics

graphics.prepare(can_render=False)

# ruff: noqa: E402
from dm_control import suite
from dm_control.rl import control
import numpy as np
import pytest

from tfquarl.environments import physics_stepping


@pytest.mark.parametrize("is_legacy", [True, False])
@pytest.mark.parametrize("domain, task", [("cartpole", "balance"), ("finger", "spin")], ids=["RK4", "Euler"])
@pytest.mark.parametrize("nstep", [1, 3])
def test_state_is_that_of_physics_step(domain: str, task: str, nstep: int, is_legacy: bool) -> None:
    physics, bare = (suite.load(domain, task, task_kwargs={"random": 1}).physics for _ in range(2))
    physics.legacy_step = bare.legacy_step = is_legacy
    advance = physics_stepping.bind_step(physics)
    for one in (physics, bare):
        one.set_control(np.full(one.model.nu, 0.3))
    for _ in range(20):
        advance(nstep)
        bare.step(nstep)
    np.testing.assert_array_equal(physics.get_state(), bare.get_state())
    assert physics.time() == bare.time()


def test_divergence_raises_and_a_reset_recovers() -> None:
    physics = suite.load("cheetah", "run", task_kwargs={"random": 1}).physics
    advance = physics_stepping.bind_step(physics)
    physics.set_control(np.full(physics.model.nu, np.nan))
    with pytest.raises(control.PhysicsError, match="mjWARN_BADCTRL"):
        advance()
    physics.reset()
    advance()


def test_errors_can_be_suppressed_as_dm_controls_own() -> None:
    physics, bare = (suite.load("cheetah", "run", task_kwargs={"random": 1}).physics for _ in range(2))
    physics.step = physics_stepping.bind_step(physics)
    for one in (physics, bare):
        one.set_control(np.full(one.model.nu, np.nan))
        with one.suppress_physics_errors():
            one.step()
        with pytest.raises(control.PhysicsError, match="mjWARN_BADCTRL"):
            one.step()
        one.set_control(np.zeros(one.model.nu))
        one.step()
    np.testing.assert_array_equal(physics.get_state(), bare.get_state())


def test_an_error_names_new_warnings_alone() -> None:
    physics = suite.load("cheetah", "run", task_kwargs={"random": 1}).physics
    advance = physics_stepping.bind_step(physics)
    with physics.suppress_physics_errors():
        physics.set_control(np.full(physics.model.nu, np.nan))
        advance()
        physics.set_control(np.zeros(physics.model.nu))
        physics.data.qvel[:] = np.nan
    with pytest.raises(control.PhysicsError, match=r"^MuJoCo warned of mjWARN_BADQ[A-Z]+$"):
        advance()


def test_control_is_that_of_physics_set_control() -> None:
    physics, bare = (suite.load("cheetah", "run", task_kwargs={"random": 1}).physics for _ in range(2))
    set_control = physics_stepping.bind_control(physics)
    for control_signal in (np.linspace(-1, 1, 6, dtype=np.float32), np.zeros(6), 0.5):
        set_control(control_signal)
        bare.set_control(control_signal)
        np.testing.assert_array_equal(physics.data.ctrl, bare.data.ctrl)
    with pytest.raises(ValueError, match="broadcast"):
        set_control(np.zeros(5))


def test_a_physics_with_its_own_methods_keeps_them() -> None:
    physics = suite.load("cheetah", "run", task_kwargs={"random": 1}).physics

    class Own(type(physics)):
        def step(self, nstep: int = 1) -> None:
            raise NotImplementedError

        def set_control(self, control: np.ndarray) -> None:
            raise NotImplementedError

    physics.__class__ = Own
    assert physics_stepping.bind_step(physics) == physics.step
    assert physics_stepping.bind_control(physics) == physics.set_control
