"""D4PG (arXiv 1804.08617) as a TF-Agents agent: deterministic policy, categorical critic, n-step returns."""

import dataclasses
from typing import Any
from typing import NamedTuple

import tensorflow as tf
from tf_agents.agents import data_converter
from tf_agents.agents import tf_agent
from tf_agents.policies import actor_policy
from tf_agents.policies import gaussian_policy
from tf_agents.trajectories import time_step as time_step_lib
from tf_agents.utils import common

from tfquarl.agents import distributional
from tfquarl.networks import critic_network as critic_network_lib
from tfquarl.networks import policy_network as policy_network_lib


class D4pgInfo(NamedTuple):
    """Extra of D4PG's `LossInfo`.

    Attributes:
      critic_loss: scalar.
      actor_loss: scalar, the negative mean value of the policy's actions.
      divergence: of the critic from its target, [B]: new replay priorities.
      clipped_share: of the targets' probabilities, that lay outside of the support; scalar.
    """

    critic_loss: Any
    actor_loss: Any
    divergence: Any
    clipped_share: Any


@dataclasses.dataclass(frozen=True)
class D4pgSettings:
    """Numbers of the algorithm.

    Attributes:
      v_min: least return that the critic can tell.
      v_max: largest return that the critic can tell.
      discount: gamma per environment step.
      n_step: steps of a `Trajectory` that are summed to one transition; a `Transition` comes already summed.
      target_update_tau: share of the online weights in an update of the target networks; 1 copies.
      target_update_period: train steps between such updates.
      gradient_clip_norm: largest global norm of each network's gradient; None does not clip.
      exploration_sigma: of the Gaussian noise of `collect_policy`, in the action's own units.
    """

    v_min: float
    v_max: float
    discount: float = 0.99
    n_step: int = 1
    target_update_tau: float = 0.005
    target_update_period: int = 1
    gradient_clip_norm: float | None = None
    exploration_sigma: float = 0.2


class D4pgAgent(tf_agent.TFAgent):
    """Trains on `Transition`s [B, ...] or on `Trajectory`s [B, n_step + 1, ...]."""

    def __init__(
        self,
        time_step_spec: time_step_lib.TimeStep,
        action_spec: Any,
        policy_network: policy_network_lib.PolicyNetwork,
        critic_network: critic_network_lib.CriticNetwork,
        actor_optimizer: Any,
        critic_optimizer: Any,
        settings: D4pgSettings,
        train_step_counter: tf.Variable | None = None,
    ) -> None:
        """Makes the variables, the target networks and the policies; `initialize` makes online and target networks alike.

        Args:
          time_step_spec: of flat observations [D].
          action_spec: bounded, float32 [A].
          policy_network: of head 'action'.
          critic_network: its critic.
          actor_optimizer: a Keras optimizer of the policy network.
          critic_optimizer: another one, of the critic.
          settings: of the algorithm.
          train_step_counter: counts the train steps; TF-Agents' global step if None.
        """
        tf.Module.__init__(self, name="d4pg_agent")
        self._policy_network = policy_network
        self._critic_network = critic_network
        self._target_policy_network = policy_network.copy(name=f"target_{policy_network.name}")
        self._target_critic_network = critic_network.copy(name=f"target_{critic_network.name}")
        for network in self._online_networks + self._target_networks:
            network.create_variables()
        self._actor_optimizer = actor_optimizer
        self._critic_optimizer = critic_optimizer
        self._settings = settings
        self._atoms = distributional.atoms(settings.v_min, settings.v_max, critic_network.num_atoms)
        self._update_targets = common.Periodically(
            self._move_targets, settings.target_update_period, "update_target_networks"
        )
        policy = actor_policy.ActorPolicy(time_step_spec, action_spec, policy_network, clip=True)
        collect_policy = gaussian_policy.GaussianPolicy(policy, scale=settings.exploration_sigma, clip=True)
        super().__init__(
            time_step_spec,
            action_spec,
            policy,
            collect_policy,
            train_sequence_length=settings.n_step + 1,
            train_step_counter=train_step_counter,
        )
        self._as_transition = data_converter.AsNStepTransition(
            self.data_context, gamma=settings.discount, n=settings.n_step
        )

    @property
    def policy_network(self) -> policy_network_lib.PolicyNetwork:
        """The policy that is trained."""
        return self._policy_network

    @property
    def _online_networks(self) -> tuple[Any, Any]:
        return self._policy_network, self._critic_network

    @property
    def _target_networks(self) -> tuple[Any, Any]:
        return self._target_policy_network, self._target_critic_network

    def _initialize(self) -> None:
        self._move_targets(tau=1.0)

    def _move_targets(self, tau: float | None = None) -> tf.Operation:
        tau = self._settings.target_update_tau if tau is None else tau
        for online, target in zip(self._online_networks, self._target_networks):
            for source, copy in zip(online.variables, target.variables):
                if tau == 1.0 or not source.trainable:
                    copy.assign(source)
                else:
                    # One pass over memory less than assign_add(tau * difference), which counts in wide networks.
                    tf.raw_ops.ResourceApplyGradientDescent(var=copy.handle, alpha=tau, delta=copy - source)
        return tf.no_op()

    def _train(self, experience: Any, weights: Any) -> tf_agent.LossInfo:
        actor_variables, critic_variables = (network.trainable_variables for network in self._online_networks)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(critic_variables)
            critic_loss, figures, observation = self._critic_loss(experience, weights)
        critic_gradients = tape.gradient(critic_loss, critic_variables)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(actor_variables)
            actor_loss = self._actor_loss(observation, training=True)
        actor_gradients = tape.gradient(actor_loss, actor_variables)
        self._apply(self._critic_optimizer, critic_gradients, critic_variables)
        self._apply(self._actor_optimizer, actor_gradients, actor_variables)
        self._update_targets()
        self.train_step_counter.assign_add(1)
        return _loss_info(critic_loss, actor_loss, figures)

    def _loss(self, experience: Any, weights: Any = None, training: bool = False, **kwargs: Any) -> tf_agent.LossInfo:
        del training, kwargs
        critic_loss, figures, observation = self._critic_loss(experience, weights)
        return _loss_info(critic_loss, self._actor_loss(observation), figures)

    def _critic_loss(self, experience: Any, weights: Any) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        """Loss, (divergence [B], clipped share) and observations [B, D]; importance weights [B] multiply the critic's gradient (algorithm 1)."""
        transition: Any = self._as_transition(experience)
        time_step, policy_step, next_time_step = transition
        target_probabilities, clipped_share = map(tf.stop_gradient, self._target(next_time_step))
        scaled = self._policy_network.scale_observation(time_step.observation)
        logits, _ = self._critic_network((scaled, policy_step.action))
        cross_entropy = distributional.critic_loss(logits, target_probabilities)
        # A boundary between two episodes, which only a Trajectory can hold, teaches nothing.
        cross_entropy *= tf.cast(tf.logical_not(time_step.is_last()), tf.float32)
        weighted = cross_entropy if weights is None else weights * cross_entropy
        divergence = distributional.divergence(tf.stop_gradient(cross_entropy), target_probabilities)
        return tf.reduce_mean(weighted), (divergence, clipped_share), time_step.observation

    def _target(self, next_time_step: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Target distribution [B, N], and how much was clipped: the projected n-step distributional Bellman operator (D4PG, equation 3)."""
        observation = next_time_step.observation
        action, _ = self._target_policy_network(observation)
        scaled = self._target_policy_network.scale_observation(observation)
        logits, _ = self._target_critic_network((scaled, action))
        discount = self._settings.discount * next_time_step.discount
        moved = tf.nn.softmax(logits), next_time_step.reward, discount, self._atoms
        return distributional.project(*moved), distributional.clipped_share(*moved)

    def _actor_loss(self, observation: tf.Tensor, training: bool = False) -> tf.Tensor:
        action, _ = self._policy_network(observation, training=training)
        logits, _ = self._critic_network((self._policy_network.scale_observation(observation), action))
        return tf.reduce_mean(distributional.actor_loss(logits, self._atoms))

    def _apply(self, optimizer: Any, gradients: list[tf.Tensor], variables: list[tf.Variable]) -> None:
        if self._settings.gradient_clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._settings.gradient_clip_norm)
        optimizer.apply_gradients(zip(gradients, variables))


def _loss_info(
    critic_loss: tf.Tensor, actor_loss: tf.Tensor, figures: tuple[tf.Tensor, tf.Tensor]
) -> tf_agent.LossInfo:
    return tf_agent.LossInfo(critic_loss + actor_loss, D4pgInfo(critic_loss, actor_loss, *figures))
