"""Builder of deep Q-learning agents (arXiv 1312.5602): TF-Agents' `DqnAgent` and `DdqnAgent`, configured, and the categorical one."""

import dataclasses
import math
from typing import TYPE_CHECKING
from typing import Any

from tfquarl.agents import ranges
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import exploration_config
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import quantization_aware

if TYPE_CHECKING:
    import tensorflow as tf
    from tf_agents.agents.dqn import dqn_agent

    from tfquarl.networks import policy_network

_MIN_PRIORITY = 1e-3


@dataclasses.dataclass(frozen=True)
class DqnBuilder:
    """Deep Q-learning with n-step returns, double Q-learning, prioritised replay and value distributions as switches.

    Attributes:
      hidden_sizes: units of the Q network's hidden layers.
      activation: of the hidden layers, 'relu' or 'tanh'.
      is_double: double Q-learning (arXiv 1509.06461): the online network chooses the next action, the target network values it.
      n_step: steps over which the replay's transitions sum rewards.
      discount: gamma per environment step.
      learning_rate: of Adam at the first train step.
      final_learning_rate: reached linearly after `learning_rate_decay_steps`, then kept.
      learning_rate_decay_steps: train steps of the decay; 0 keeps `learning_rate`.
      adam_epsilon: of Adam.
      gradient_clip_norm: largest norm of each variable's gradient; None does not clip.
      target_update_period: train steps between updates of the target network.
      target_update_tau: share of the online weights in such an update: 1 copies (periodic), less is Polyak averaging.
      reward_scale: factor on rewards inside the loss.
      initial_value: of every action in every state before training. Where each step pays until something fails, the largest return
        (reward / (1 - discount)) is far better than 0: failures are learned at once, instead of waiting for the value of success to
        grow by n_step rewards per update of the target network (optimistic initial values: Sutton and Barto 2018, section 2.6).
        A categorical network starts with even distributions, whose mean is halfway between `v_min` and `v_max`, whatever this says.
      num_atoms: of each action's value distribution (C51, arXiv 1707.06887), usually 51; 1 learns plain values.
      v_min: least return that a distribution can tell; with `num_atoms` > 1 only.
      v_max: largest return that it can tell: about reward per step / (1 - discount). Both are of rewards after `reward_scale`.
      epsilon_start: share of random actions at each collector's first step; where they are held, the probability that one begins where
        none is held.
      epsilon_end: the same of collector 0 after the decay.
      epsilon_decay_steps: environment steps of all collectors together over which it decays.
      epsilon_ladder: collector i of N ends at epsilon_end^(1 + epsilon_ladder * i / (N - 1)) (arXiv 1803.00933, section 4.1).
      epsilon_hold_exponent: mu > 1 where random actions are held for a zeta-distributed time (arXiv 2006.01782); None: one step. Their
        share is far larger than epsilon (`ExplorationConfig.hold_exponent`).
    """

    hidden_sizes: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    is_double: bool = True
    n_step: int = 3
    discount: float = 0.99
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    learning_rate_decay_steps: int = 0
    adam_epsilon: float = 1e-8
    gradient_clip_norm: float | None = 10.0
    target_update_period: int = 100
    target_update_tau: float = 1.0
    reward_scale: float = 1.0
    initial_value: float = 0.0
    num_atoms: int = 1
    v_min: float = 0.0
    v_max: float = 100.0
    epsilon_start: float = 1.0
    epsilon_end: float = 0.1
    epsilon_decay_steps: int = 5000
    epsilon_ladder: float = 1.0
    epsilon_hold_exponent: float | None = None

    def __post_init__(self) -> None:
        ranges.check_layers(self, ["hidden_sizes"])
        ranges.check_whole(self, 1, ["n_step"])
        ranges.check_whole(self, 0, ["learning_rate_decay_steps", "epsilon_decay_steps"])
        ranges.check_positive(self, ["learning_rate", "adam_epsilon", "gradient_clip_norm", "reward_scale"])
        ranges.check_not_negative(self, ["final_learning_rate", "epsilon_ladder"])
        ranges.check_shares(self, ["discount", "epsilon_start", "epsilon_end"])
        ranges.check_target_updates(self)
        ranges.check_atoms(self, 1)
        if not math.isfinite(self.initial_value):
            raise errors.ConfigError(f"initial_value is {self.initial_value}, needs a finite number")
        exponent = self.epsilon_hold_exponent
        if exponent is not None and not 1 < exponent < math.inf:
            raise errors.ConfigError(f"epsilon_hold_exponent is {exponent}, needs a finite number above 1, or None")

    def architecture(self, spec: environment_spec.EnvironmentSpec) -> architecture_lib.PolicyArchitecture:
        """The Q network.

        Raises:
          ConfigError: the environment's actions are continuous.
        """
        if not spec.is_discrete:
            raise errors.ConfigError(
                f"{spec.name}: deep Q-learning needs discrete actions, this task has continuous ones; use an agent for those"
            )
        if self.num_atoms == 1:
            return architecture_lib.q_architecture(spec, self.hidden_sizes, self.activation)
        return architecture_lib.q_architecture(
            spec, self.hidden_sizes, self.activation, num_atoms=self.num_atoms, v_min=self.v_min, v_max=self.v_max
        )

    def make_agent(
        self,
        spec: environment_spec.EnvironmentSpec,
        seed: int,
        quantization: quantization_aware.QuantizationAware | None = None,
    ) -> "dqn_agent.DqnAgent":
        """An initialized agent; n-step rewards arrive summed, so that the agent itself looks one transition ahead.

        Raises:
          ConfigError: the algorithm can't act in this environment, or can't be trained quantized.
        """
        import tensorflow as tf

        from tfquarl.agents import experience
        from tfquarl.networks import policy_network

        if self.num_atoms > 1 and quantization is not None:
            raise errors.ConfigError(
                f"DqnBuilder.num_atoms = {self.num_atoms}: value distributions are not trained quantized;"
                " use num_atoms = 1, or a recipe without 'qat_'"
            )
        train_step = tf.Variable(tf.zeros([], tf.int64), trainable=False, name="train_step")
        q_network = policy_network.PolicyNetwork(
            self.architecture(spec),
            seed,
            self.initial_value if self.num_atoms == 1 else 0.0,
            quantization=quantization,
            train_step=lambda: train_step,
        )
        agent = self._agent_class()(
            experience.time_step_spec(spec),
            experience.action_spec(spec),
            q_network=q_network,
            optimizer=self._optimizer(),
            gamma=self.discount,
            n_step_update=1,
            td_errors_loss_fn=_huber_loss,
            target_update_tau=self.target_update_tau,
            target_update_period=self.target_update_period,
            gradient_clipping=self.gradient_clip_norm,
            reward_scale_factor=self.reward_scale,
            train_step_counter=train_step,
        )
        agent.initialize()
        return agent

    def policy_network(self, agent: "dqn_agent.DqnAgent") -> "policy_network.PolicyNetwork":
        """The Q network."""
        network: Any = agent._q_network  # TF-Agents has no public name for it.
        return network

    def priorities(self, loss_info: Any) -> "tf.Tensor":
        """Absolute temporal-difference errors [B] (arXiv 1511.05952, section 3.3), never quite zero.

        Those of a categorical agent are divergences of the distributions from their targets (arXiv 1710.02298).
        """
        return abs(loss_info.extra.td_error) + _MIN_PRIORITY

    def make_exploration(self, index: int, num_collectors: int, seed: int) -> exploration_config.ExplorationConfig:
        """Epsilon-greedy; the ladder over collectors keeps some greedy and some curious."""
        rung = index / (num_collectors - 1) if num_collectors > 1 else 0.0
        end = self.epsilon_end ** (1.0 + self.epsilon_ladder * rung)
        decay_steps = self.epsilon_decay_steps // num_collectors
        return exploration_config.ExplorationConfig(
            exploration_config.EPSILON_GREEDY,
            max(self.epsilon_start, end),
            end,
            decay_steps,
            seed,
            self.epsilon_hold_exponent,
        )

    def _agent_class(self) -> "type[dqn_agent.DqnAgent]":
        from tf_agents.agents.dqn import dqn_agent

        if self.num_atoms > 1:
            from tfquarl.agents.dqn import categorical_agent

            return categorical_agent.CategoricalDdqnAgent if self.is_double else categorical_agent.CategoricalDqnAgent
        return dqn_agent.DdqnAgent if self.is_double else dqn_agent.DqnAgent

    def _optimizer(self) -> Any:
        import tensorflow as tf

        rate: Any = self.learning_rate
        if self.learning_rate_decay_steps:
            rate = tf.keras.optimizers.schedules.PolynomialDecay(
                self.learning_rate, self.learning_rate_decay_steps, self.final_learning_rate
            )
        return tf.keras.optimizers.legacy.Adam(rate, epsilon=self.adam_epsilon)


def _huber_loss(targets: "tf.Tensor", values: "tf.Tensor") -> "tf.Tensor":
    """Huber loss [B] of each difference: squared up to 1, linear beyond."""
    import tensorflow as tf

    distance = tf.abs(targets - values)
    quadratic = tf.minimum(distance, 1.0)
    return 0.5 * tf.square(quadratic) + (distance - quadratic)
