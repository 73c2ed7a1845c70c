"""Replay batches as TF-Agents experience: the one place where the two meet."""

from typing import Any

import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step
from tf_agents.trajectories import trajectory

from tfquarl.core import environment_spec


def time_step_spec(spec: environment_spec.EnvironmentSpec) -> time_step.TimeStep:
    """TF-Agents' spec of one flat observation [D], with reward and discount."""
    return time_step.time_step_spec(tf.TensorSpec([spec.observation_size], tf.float32, "observation"))


def action_spec(spec: environment_spec.EnvironmentSpec) -> Any:
    """TF-Agents' spec of one action: an int64 index in [0, num_actions), or float32 [A] within the bounds."""
    make_spec: Any = tensor_spec.BoundedTensorSpec
    if spec.num_actions is not None:
        return make_spec([], tf.int64, 0, spec.num_actions - 1, "action")
    low, high = spec.action_bounds
    return make_spec([spec.action_size], tf.float32, low, high, "action")


def to_transition(batch: Any, is_discrete: bool) -> trajectory.Transition:
    """A replay batch as `Transition` without a time dimension.

    Args:
      batch: tensors `observation` [B, D], `action` float32 [B, A] ([B, 1] or [B] for a discrete index), `reward` [B] summed over
        the n steps, `discount` [B] = gamma^(n-1), or 0 after a termination, and `next_observation` [B, D].
      is_discrete: whether actions are indices.

    Returns:
      The transition. The agent multiplies its discount by one more gamma. All its step types are MID: whether bootstrapping is
      right is told by the discount alone, so that a truncated episode's last state is bootstrapped from.
    """
    reward = tf.reshape(batch.reward, [-1])
    mid = tf.fill(tf.shape(reward), time_step.StepType.MID)
    action = tf.cast(tf.reshape(batch.action, [-1]), tf.int64) if is_discrete else batch.action
    return trajectory.Transition(
        time_step.TimeStep(mid, tf.zeros_like(reward), tf.ones_like(reward), batch.observation),
        policy_step.PolicyStep(action, (), ()),
        time_step.TimeStep(mid, reward, tf.reshape(batch.discount, [-1]), batch.next_observation),
    )
