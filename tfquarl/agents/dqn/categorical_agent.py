"""Categorical DQN (C51, arXiv 1707.06887) on TF-Agents' `DqnAgent`: only the loss differs.

TF-Agents' own `CategoricalDqnAgent` takes no importance weights, gives no errors per transition for a prioritised replay, and has no
double Q-learning.
"""

from typing import Any
from typing import NamedTuple

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.dqn import dqn_agent

from tfquarl.agents import distributional


class CategoricalDqnInfo(NamedTuple):
    """Extra of the agents' `LossInfo`; the first two are named as in TF-Agents' `DqnLossInfo`.

    Attributes:
      td_loss: cross-entropies, [B].
      td_error: divergences from the targets, [B]: new replay priorities.
      clipped_share: of the targets' probabilities, that lay outside of the support; scalar.
    """

    td_loss: Any
    td_error: Any
    clipped_share: Any


class CategoricalDqnAgent(dqn_agent.DqnAgent):
    """Learns distributions of returns; the target network chooses the next action and tells its distribution.

    Its networks are `PolicyNetwork`s with atoms, which give the distributions' means to TF-Agents' policies and their logits to the loss.
    """

    def _chooser(self) -> Any:
        """The network whose greedy actions the targets are of."""
        return self._target_q_network

    def _loss(
        self,
        experience: Any,
        td_errors_loss_fn: Any = None,
        gamma: float = 1.0,
        reward_scale_factor: float = 1.0,
        weights: Any = None,
        training: bool = False,
    ) -> tf_agent.LossInfo:
        """Mean of the weighted cross-entropies; its extra is a `CategoricalDqnInfo`."""
        del td_errors_loss_fn, training
        transition: Any = self._as_transition(experience)
        time_step, policy_step, next_time_step = transition
        network: Any = self._q_network
        logits = _of_actions(network.logits(time_step.observation), policy_step.action)
        reward, discount = reward_scale_factor * next_time_step.reward, gamma * next_time_step.discount
        target, clipped_share = map(tf.stop_gradient, self._target(next_time_step.observation, reward, discount))
        cross_entropy = distributional.critic_loss(logits, target)
        # A boundary between two episodes, which only a Trajectory can hold, teaches nothing.
        valid = tf.cast(tf.logical_not(time_step.is_last()), tf.float32)
        divergence = valid * distributional.divergence(tf.stop_gradient(cross_entropy), target)
        cross_entropy *= valid
        loss = tf.reduce_mean(cross_entropy if weights is None else weights * cross_entropy)
        return tf_agent.LossInfo(loss, CategoricalDqnInfo(cross_entropy, divergence, clipped_share))

    def _target(self, observation: tf.Tensor, reward: tf.Tensor, discount: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Target distributions [B, N] at next observations [B, D], and how much was clipped.

        They are the greedy action's, moved and projected (C51, algorithm 1).
        """
        network: Any = self._target_q_network
        q_values, _ = self._chooser()(observation)
        logits = _of_actions(network.logits(observation), tf.argmax(q_values, axis=-1))
        moved = tf.nn.softmax(logits), reward, discount, tf.constant(network.architecture.atoms())
        return distributional.project(*moved), distributional.clipped_share(*moved)


class CategoricalDdqnAgent(CategoricalDqnAgent):
    """With double Q-learning (arXiv 1509.06461): the online network chooses, the target network tells the distribution."""

    def _chooser(self) -> Any:
        return self._q_network


def _of_actions(logits: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """Logits [B, N] of one action each, of logits [B, num_actions, N] and actions [B]."""
    return tf.gather(logits, actions, axis=1, batch_dims=1)
