"""What an algorithm has to give: the complete list of what may differ between D4PG, DQN and whatever comes next.

A builder is a frozen dataclass. It is made where there is no TensorFlow and sent to the processes that need it, so its module
imports TensorFlow inside its methods only.
"""

from typing import Any
from typing import Protocol
from typing import runtime_checkable

from tfquarl.core import environment_spec
from tfquarl.core import exploration_config
from tfquarl.networks import architecture
from tfquarl.networks import quantization_aware


@runtime_checkable
class AgentBuilder(Protocol):
    """Makes the parts of one algorithm. B is the batch size.

    agent = builder.make_agent(spec, seed)
    loss_info = agent.train(experience.to_transition(batch, spec.is_discrete), weights)
    builder.policy_network(agent).policy_variables, builder.priorities(loss_info)
    """

    @property
    def n_step(self) -> int:
        """Steps over which rewards are summed in the replay's transitions."""
        ...

    @property
    def discount(self) -> float:
        """Gamma in [0, 1], per environment step."""
        ...

    def architecture(self, spec: environment_spec.EnvironmentSpec) -> architecture.PolicyArchitecture:
        """The policy network that learner, converter, parity gate and exporter build.

        Raises:
          ConfigError: the algorithm can't act in this environment.
        """
        ...

    def make_agent(
        self,
        spec: environment_spec.EnvironmentSpec,
        seed: int,
        quantization: quantization_aware.QuantizationAware | None = None,
    ) -> Any:
        """An initialized `tf_agent.TFAgent` that trains on `Transition` batches without a time dimension.

        Its policy is trained quantized where `quantization` is given.
        """
        ...

    def policy_network(self, agent: Any) -> Any:
        """The agent's `networks.policy_network.PolicyNetwork`."""
        ...

    def priorities(self, loss_info: Any) -> Any:
        """New replay priorities [B], positive float, of the batch that `agent.train` gave `loss_info` for."""
        ...

    def make_exploration(self, index: int, num_collectors: int, seed: int) -> exploration_config.ExplorationConfig:
        """How collector `index` of `num_collectors` explores."""
        ...
