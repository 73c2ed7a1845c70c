"""An agent as the learner station uses it: replay batch in, loss and priorities out."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfquarl.agents import agent_builder
from tfquarl.agents import experience
from tfquarl.core import environment_spec
from tfquarl.networks import quantization_aware


class AgentTrainer:
    """Binds a builder's agent to one environment; fulfils `learner.trainer.Trainer`."""

    def __init__(
        self,
        builder: agent_builder.AgentBuilder,
        spec: environment_spec.EnvironmentSpec,
        seed: int = 0,
        quantization: quantization_aware.QuantizationAware | None = None,
    ) -> None:
        """Makes the agent.

        Args:
          builder: of the algorithm.
          spec: of the environment.
          seed: of the first weights.
          quantization: of a policy that is trained quantized; None trains it in float.

        Raises:
          ConfigError: the algorithm can't act in this environment.
        """
        self._builder = builder
        self._is_discrete = spec.is_discrete
        self._agent = builder.make_agent(spec, seed, quantization)

    @property
    def agent(self) -> Any:
        """The `tf_agent.TFAgent`: what a checkpoint has to hold."""
        return self._agent

    @property
    def train_step(self) -> tf.Variable:
        """Train steps made so far, int64 scalar; the agent counts it."""
        return self._agent.train_step_counter

    @property
    def policy_variables(self) -> Mapping[str, tf.Variable]:
        """The policy's variables by the names of `PolicyArchitecture.variable_shapes`."""
        return self._builder.policy_network(self._agent).policy_variables

    def activation_ranges(self) -> Mapping[str, tuple[float, float]]:
        """Least and largest value of each activation where the policy now computes with quantized values; empty where in float."""
        return self._builder.policy_network(self._agent).activation_ranges()

    def train(self, batch: Any, weights: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """One train step.

        Args:
          batch: as `experience.to_transition` describes it.
          weights: importance weights [B], or None.

        Returns:
          The loss, a scalar; new priorities [B]; and what share of the targets' probabilities lay outside of the distributions' support, a
          scalar, or None where the agent learns no distributions.
        """
        loss_info = self._agent.train(experience.to_transition(batch, self._is_discrete), weights)
        clipped_share = getattr(loss_info.extra, "clipped_share", None)  # of categorical agents alone
        return loss_info.loss, self._builder.priorities(loss_info), clipped_share
