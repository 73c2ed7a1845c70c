"""The categorical critic: a TF-Agents `Network` from observation and action to a distribution of returns."""

from typing import Any

import tensorflow as tf
from tf_agents.networks import network

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.networks import policy_network


class CriticNetwork(network.Network):
    """A multilayer perceptron on (scaled observation, action scaled to [-1, 1]) that gives logits over atoms.

    Its observations are already scaled: by the policy's own variables, so that there is one scaling.
    """

    def __init__(
        self,
        policy: architecture_lib.PolicyArchitecture,
        hidden_sizes: tuple[int, ...],
        num_atoms: int,
        seed: int = 0,
        compute_dtype: str = "float32",
        name: str = "critic",
    ) -> None:
        """Stores the arguments; `create_variables` makes the variables.

        Args:
          policy: architecture of the policy that it judges; of head 'action'.
          hidden_sizes: units of each hidden layer.
          num_atoms: of the distribution.
          seed: of the first weights.
          compute_dtype: of the matrix products, 'float32' or 'bfloat16'; variables and logits stay float32.
          name: prefix of the variables' names.
        """
        if policy.head != "action":
            raise ValueError(f"a critic judges continuous actions, the policy's head is '{policy.head}'")
        observation = tf.TensorSpec([policy.observation_size], tf.float32, "observation")
        action = tf.TensorSpec([policy.output_size], tf.float32, "action")
        super().__init__((observation, action), (), name)
        self._policy = policy
        self._architecture = architecture_lib.PolicyArchitecture(
            policy.observation_size + policy.output_size, tuple(hidden_sizes), num_atoms, "q_values", policy.activation
        )
        self._seed = seed
        self._compute_dtype_name = compute_dtype
        self._named: dict[str, tf.Variable] = {}

    @property
    def num_atoms(self) -> int:
        """Atoms of the distribution."""
        return self._architecture.output_size

    def build(self, input_shape: Any) -> None:
        """Makes the variables; called once, by `create_variables`."""
        for name, value in initial_variables.initial_variables(self._architecture, self._seed).items():
            if not name.startswith("observation_scaling/"):
                initializer = tf.constant_initializer(value)
                self._named[name] = self.add_weight(name=name, shape=value.shape, initializer=initializer)
        super().build(input_shape)

    def call(
        self,
        inputs: tuple[tf.Tensor, tf.Tensor],
        step_type: Any = None,
        network_state: Any = (),
        training: bool = False,
    ) -> tuple[tf.Tensor, Any]:
        """Logits [B, num_atoms] of scaled observations [B, D] and actions [B, A] in the action's own units."""
        del step_type, training
        observation, action = inputs
        middle, half_range = self._policy.action_scaling()
        x = tf.concat([observation, (action - middle) / half_range], axis=-1)
        return policy_network.layers(self._architecture, self._named, x, self._compute_dtype_name), network_state
