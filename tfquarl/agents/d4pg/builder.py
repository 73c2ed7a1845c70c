"""Builder of D4PG agents (arXiv 1804.08617)."""

import dataclasses
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from tfquarl.agents import ranges
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import exploration_config
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import quantization_aware

if TYPE_CHECKING:
    import tensorflow as tf

    from tfquarl.agents.d4pg import d4pg_agent
    from tfquarl.networks import policy_network

_MIN_PRIORITY = 1e-3
# The critic's seed follows from the policy's, and is not the same.
_CRITIC_SEED_OFFSET = 1_000_003


@dataclasses.dataclass(frozen=True)
class D4pgBuilder:
    """D4PG with n-step returns and prioritised replay as switches.

    Attributes:
      v_min: least return that the critic can tell; set it by the task's rewards.
      v_max: largest return that the critic can tell: about reward per step / (1 - discount).
      num_atoms: of the critic's distribution.
      policy_hidden_sizes: units of the policy's hidden layers.
      critic_hidden_sizes: units of the critic's hidden layers.
      critic_layer_norm: which of the critic's hidden layers are normalized (arXiv 1607.06450): 'none', 'first', with a tanh, as in Acme's
        D4PG, or 'all', before their activation.
      initial_value: where the critic's distribution lies before training; None spreads it evenly, which begins with half of what can be
        reached.
      invert_gradients: whether the policy's actions come back from their bounds by inverting gradients (arXiv 1511.04143). With tanh's
        own a policy can get stuck at the bounds before its critic knows anything.
      activation: of the hidden layers, 'relu' or 'tanh'.
      compute_dtype: of the matrix products, 'float32' or 'bfloat16'.
      n_step: steps over which the replay's transitions sum rewards.
      discount: gamma per environment step.
      actor_learning_rate: of the policy's Adam.
      critic_learning_rate: of the critic's Adam.
      adam_epsilon: of both.
      gradient_clip_norm: largest global norm of each network's gradient; None does not clip.
      target_update_tau: share of the online weights in an update of the target networks; 1 copies (periodic), less is Polyak.
      target_update_period: train steps between such updates.
      sigma_min: of collector 0's Gaussian noise, as a share of each action's half range.
      sigma_max: of the last collector's. Those between form a geometric ladder; a single one takes the geometric mean.
    """

    v_min: float = 0.0
    v_max: float = 100.0
    num_atoms: int = 51
    policy_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_hidden_sizes: tuple[int, ...] = (256, 256)
    critic_layer_norm: str = architecture_lib.NO_LAYER
    initial_value: float | None = None
    invert_gradients: bool = False
    activation: str = "relu"
    compute_dtype: str = "float32"
    n_step: int = 5
    discount: float = 0.99
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    adam_epsilon: float = 1e-8
    gradient_clip_norm: float | None = None
    target_update_tau: float = 0.005
    target_update_period: int = 1
    sigma_min: float = 0.2
    sigma_max: float = 0.2

    def __post_init__(self) -> None:
        ranges.check_layers(self, ["policy_hidden_sizes", "critic_hidden_sizes"])
        ranges.check_one_of(self, "critic_layer_norm", architecture_lib.LAYER_NORMS)
        ranges.check_one_of(self, "compute_dtype", architecture_lib.COMPUTE_DTYPES)
        ranges.check_whole(self, 1, ["n_step"])
        rates = ["actor_learning_rate", "critic_learning_rate"]
        ranges.check_positive(self, [*rates, "adam_epsilon", "gradient_clip_norm"])
        ranges.check_not_negative(self, ["sigma_min", "sigma_max"])
        ranges.check_shares(self, ["discount"])
        ranges.check_target_updates(self)
        ranges.check_atoms(self, 2)
        if self.initial_value is not None and not self.v_min <= self.initial_value <= self.v_max:
            raise errors.ConfigError(
                f"initial_value is {self.initial_value}, needs a value in [{self.v_min}, {self.v_max}], from v_min to v_max, or None"
            )

    def architecture(self, spec: environment_spec.EnvironmentSpec) -> architecture_lib.PolicyArchitecture:
        """The deterministic policy.

        Raises:
          ConfigError: the environment's actions are discrete.
        """
        if spec.is_discrete:
            raise errors.ConfigError(
                f"{spec.name}: a deterministic policy needs continuous actions, this task has discrete ones; use an agent for those"
            )
        return architecture_lib.action_architecture(spec, self.policy_hidden_sizes, self.activation)

    def make_agent(
        self,
        spec: environment_spec.EnvironmentSpec,
        seed: int,
        quantization: quantization_aware.QuantizationAware | None = None,
    ) -> "d4pg_agent.D4pgAgent":
        """An initialized agent. n-step rewards arrive summed, so that it looks one transition ahead."""
        import tensorflow as tf

        from tfquarl.agents import experience
        from tfquarl.agents.d4pg import d4pg_agent
        from tfquarl.networks import critic_network
        from tfquarl.networks import policy_network

        architecture = self.architecture(spec)
        critic = critic_network.CriticNetwork(
            architecture,
            self.critic_hidden_sizes,
            self.num_atoms,
            seed + _CRITIC_SEED_OFFSET,
            self.compute_dtype,
            layer_norm=self.critic_layer_norm,
            head_bias=self._initial_logits(),
        )
        train_step = tf.Variable(tf.zeros([], tf.int64), trainable=False, name="train_step")
        policy = policy_network.PolicyNetwork(
            architecture,
            seed,
            compute_dtype=self.compute_dtype,
            quantization=quantization,
            train_step=lambda: train_step,
            inverts_gradients=self.invert_gradients,
        )
        agent = d4pg_agent.D4pgAgent(
            experience.time_step_spec(spec),
            experience.action_spec(spec),
            policy,
            critic,
            tf.keras.optimizers.legacy.Adam(self.actor_learning_rate, epsilon=self.adam_epsilon),
            tf.keras.optimizers.legacy.Adam(self.critic_learning_rate, epsilon=self.adam_epsilon),
            d4pg_agent.D4pgSettings(
                v_min=self.v_min,
                v_max=self.v_max,
                discount=self.discount,
                target_update_tau=self.target_update_tau,
                target_update_period=self.target_update_period,
                gradient_clip_norm=self.gradient_clip_norm,
            ),
            train_step,
        )
        agent.initialize()
        return agent

    def _initial_logits(self) -> tuple[float, ...] | None:
        """Logits [num_atoms] of a distribution that falls off by e^-20 over the critic's range, away from `initial_value`."""
        if self.initial_value is None:
            return None
        atoms = np.linspace(self.v_min, self.v_max, self.num_atoms)
        return tuple((-20 * np.abs(atoms - self.initial_value) / (self.v_max - self.v_min)).tolist())

    def policy_network(self, agent: "d4pg_agent.D4pgAgent") -> "policy_network.PolicyNetwork":
        """The policy that is trained."""
        return agent.policy_network

    def priorities(self, loss_info: Any) -> "tf.Tensor":
        """Divergences of the critic from its targets [B] (arXiv 1710.02298), never quite zero."""
        return loss_info.extra.divergence + _MIN_PRIORITY

    def make_exploration(self, index: int, num_collectors: int, seed: int) -> exploration_config.ExplorationConfig:
        """Gaussian noise; the ladder over collectors keeps some quiet and some bold."""
        rung = index / (num_collectors - 1) if num_collectors > 1 else 0.5
        sigma = self.sigma_min ** (1 - rung) * self.sigma_max**rung
        return exploration_config.ExplorationConfig(exploration_config.GAUSSIAN, sigma, sigma, 0, seed)
