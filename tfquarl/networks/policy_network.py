"""The policy network in TensorFlow: a TF-Agents `Network` that computes what `numpy_policy.forward` computes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.networks import network

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables

COMPUTE_DTYPES = ("float32", "bfloat16")


class PolicyNetwork(network.Network):
    """A policy built from its architecture, with variables under the architecture's names.

    The two variables of the observation scaling are not trainable; they are the identity until somebody assigns them.
    """

    def __init__(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        seed: int = 0,
        head_bias: float = 0.0,
        compute_dtype: str = "float32",
        name: str = "policy",
    ) -> None:
        """Stores the arguments; `create_variables` makes the variables.

        Args:
          architecture: of the network.
          seed: of the first weights.
          head_bias: what the head gives at first, about.
          compute_dtype: of the matrix products, 'float32' or 'bfloat16'; variables and outputs stay float32.
          name: prefix of the variables' names.
        """
        if compute_dtype not in COMPUTE_DTYPES:
            raise ValueError(f"compute_dtype is '{compute_dtype}', needs one of {', '.join(COMPUTE_DTYPES)}")
        super().__init__(tf.TensorSpec([architecture.observation_size], tf.float32, "observation"), (), name)
        self._architecture = architecture
        self._seed = seed
        self._head_bias = head_bias
        self._compute_dtype_name = compute_dtype
        self._named: dict[str, tf.Variable] = {}

    @property
    def architecture(self) -> architecture_lib.PolicyArchitecture:
        """What the network was built from."""
        return self._architecture

    @property
    def policy_variables(self) -> dict[str, tf.Variable]:
        """The variables by the names of `PolicyArchitecture.variable_shapes`, in that order."""
        self.create_variables()
        return dict(self._named)

    def build(self, input_shape: Any) -> None:
        """Makes the variables; called once, by `create_variables`."""
        for name, value in initial_variables.initial_variables(self._architecture, self._seed, self._head_bias).items():
            self._named[name] = self.add_weight(
                name=name,
                shape=value.shape,
                initializer=tf.constant_initializer(value),
                trainable=not name.startswith("observation_scaling/"),
            )
        super().build(input_shape)

    def assign(self, values: Mapping[str, np.ndarray], source: str) -> None:
        """Sets all variables.

        Args:
          values: float32 arrays by name.
          source: what they come from, for the message.

        Raises:
          ValueError: a variable is missing, unknown, or of another shape or dtype.
        """
        self._architecture.check_variables(values, source)
        for name, variable in self.policy_variables.items():
            variable.assign(values[name])

    def scale_observation(self, observation: tf.Tensor) -> tf.Tensor:
        """What the first layer gets of observations [B, D]: float32 [B, D]."""
        return (observation - self._named["observation_scaling/offset"]) * self._named["observation_scaling/scale"]

    def call(
        self, observation: tf.Tensor, step_type: Any = None, network_state: Any = (), training: bool = False
    ) -> tuple[tf.Tensor, Any]:
        """q_values [B, num_actions] or actions [B, A], float32, of observations [B, D]."""
        del step_type, training
        x = layers(self._architecture, self._named, self.scale_observation(observation), self._compute_dtype_name)
        if self._architecture.head == "action":
            middle, half_range = self._architecture.action_scaling()
            x = middle + half_range * tf.tanh(x)
        return x, network_state


def layers(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, tf.Variable], x: tf.Tensor, dtype: str
) -> tf.Tensor:
    """The dense layers, from scaled inputs to the head before its tanh.

    Args:
      architecture: tells layers and activation.
      variables: kernels and biases by name.
      x: float32 [B, inputs].
      dtype: of the matrix products and of what passes between the hidden layers.

    Returns:
      float32 [B, output_size].
    """
    x = tf.cast(x, dtype)
    for name in architecture.layer_names:
        x = tf.matmul(x, tf.cast(variables[f"{name}/kernel"], dtype)) + tf.cast(variables[f"{name}/bias"], dtype)
        if name != "head":
            x = tf.nn.relu(x) if architecture.activation == "relu" else tf.tanh(x)
    return tf.cast(x, tf.float32)


def policy_variables(policy_network: PolicyNetwork) -> dict[str, tf.Variable]:
    """The network's variables by the names of `PolicyArchitecture.variable_shapes`."""
    return policy_network.policy_variables
