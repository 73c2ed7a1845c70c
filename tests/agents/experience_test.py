"""Tests of what TF-Agents is told of environments and batches."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step

from tfquarl.agents import experience
from tfquarl.core import environment_spec
from tfquarl.replay import transition

FIELDS = (environment_spec.ObservationField("observation", (3,), 0),)
DISCRETE = environment_spec.EnvironmentSpec("cart", FIELDS, 4)
CONTINUOUS = environment_spec.EnvironmentSpec("arm", FIELDS, action_low=(-1.0, 0.0), action_high=(1.0, 5.0))


def test_specs() -> None:
    discrete, continuous = (experience.action_spec(spec) for spec in (DISCRETE, CONTINUOUS))
    assert (discrete.dtype, discrete.shape.rank, discrete.minimum, discrete.maximum) == (tf.int64, 0, 0, 3)
    assert (continuous.dtype, continuous.shape.as_list()) == (tf.float32, [2])
    assert (continuous.minimum.tolist(), continuous.maximum.tolist()) == ([-1.0, 0.0], [1.0, 5.0])
    assert experience.time_step_spec(DISCRETE).observation.shape.as_list() == [3]


@pytest.mark.parametrize("is_discrete", [True, False], ids=["discrete", "continuous"])
def test_fields_of_a_transition(is_discrete: bool) -> None:
    layout = transition.TransitionLayout.from_spec(DISCRETE if is_discrete else CONTINUOUS)
    action = [[3.0], [0.0]] if is_discrete else [[0.5, 4.0], [-1.0, 1.0]]
    rows = np.concatenate([np.full([2, 3], 7.0), action, [[1.5, 0.9], [2.5, 0.0]], np.full([2, 3], 8.0)], axis=1)
    batch = layout.unpack(tf.constant(rows, tf.float32), None, None)
    before, step, after = experience.to_transition(batch, is_discrete)
    assert (before.observation.numpy() == 7).all() and (after.observation.numpy() == 8).all()
    np.testing.assert_allclose(after.reward.numpy(), [1.5, 2.5])
    np.testing.assert_allclose(after.discount.numpy(), [0.9, 0.0])
    assert before.step_type.numpy().tolist() == after.step_type.numpy().tolist() == [time_step.StepType.MID] * 2
    if is_discrete:
        assert (step.action.dtype, step.action.numpy().tolist()) == (tf.int64, [3, 0])
    else:
        np.testing.assert_allclose(step.action.numpy(), action)
