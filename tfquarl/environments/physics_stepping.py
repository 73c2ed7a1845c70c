"""Steps dm_control's physics as `dm_control.mujoco.engine.Physics.step` does, without what it looks up anew at each step.

A third of a light task's step goes into context managers and attribute chains around MuJoCo's own functions. Here they are bound once;
the calls, their order and the check for a diverged simulation are the same.
"""

# MuJoCo's names come from a C extension that no type checker can read.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
import functools

from absl import logging
from dm_control.mujoco import engine
from dm_control.rl import control
import mujoco
import numpy as np

_STEPPING_METHODS = ("step", "_step_with_up_to_date_position_velocity", "check_invalid_state")


def bind_step(physics: engine.Physics) -> Callable[..., None]:
    """The equal of `physics.step(nstep=1)`, for as long as the model of `physics` is not replaced.

    Raises (the function):
      PhysicsError: the simulation diverged, outside of `physics.suppress_physics_errors()`; inside it is logged.
    """
    if any(getattr(type(physics), name) is not getattr(engine.Physics, name) for name in _STEPPING_METHODS):
        return physics.step
    model, data, warning_counts = physics.model.ptr, physics.data.ptr, physics.data.warning.number
    step, step1, step2 = mujoco.mj_step, mujoco.mj_step1, mujoco.mj_step2
    is_split = physics.legacy_step and model.opt.integrator != mujoco.mjtIntegrator.mjINT_RK4.value
    is_legacy = physics.legacy_step

    def advance(nstep: int = 1) -> None:
        before = warning_counts.tobytes()
        if is_split:
            step2(model, data)
            if nstep > 1:
                step(model, data, nstep - 1)
        else:
            step(model, data, nstep)
        if is_legacy:
            step1(model, data)
        if warning_counts.tobytes() != before:
            _tell(physics, warning_counts > np.frombuffer(before, warning_counts.dtype))

    return advance


def bind_control(physics: engine.Physics) -> Callable[[np.ndarray], None]:
    """The equal of `physics.set_control`, for as long as the model of `physics` is not replaced."""
    if type(physics).set_control is not engine.Physics.set_control:
        return physics.set_control
    return functools.partial(np.copyto, physics.data.ctrl)


def _tell(physics: engine.Physics, is_new: np.ndarray) -> None:
    """Raises or logs the new ones of MuJoCo's warnings, as `physics` is set."""
    names = [name for name, new in zip(mujoco.mjtWarning.__members__, is_new) if new]
    if not names:
        return
    message = f"MuJoCo warned of {', '.join(names)}"
    if physics._warnings_cause_exception:
        raise control.PhysicsError(message)
    logging.warning(message)
