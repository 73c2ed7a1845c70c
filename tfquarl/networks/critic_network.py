"""The categorical critic: a TF-Agents `Network` from observation and action to a distribution of returns."""

from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.networks import network

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.networks import policy_network

_NORM, _NORM_EPSILON = "layer_norm", 1e-6


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
        *,
        layer_norm: str = architecture_lib.NO_LAYER,
        head_bias: tuple[float, ...] | None = None,
    ) -> None:
        """Stores the arguments; `create_variables` makes the variables.

        Args:
          policy: architecture of the policy that it judges; of head 'action'.
          hidden_sizes: units of each hidden layer.
          num_atoms: of the distribution.
          seed: of the first weights.
          compute_dtype: of the matrix products, 'float32' or 'bfloat16'; variables and logits stay float32.
          name: prefix of the variables' names.
          layer_norm: one of `architecture.LAYER_NORMS`: the first layer's sums are normalized and go through a tanh, as in Acme's D4PG,
            or those of all hidden layers, before their activation.
          head_bias: the first logits, [num_atoms]; None makes all atoms equally likely.
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
        hidden = self._architecture.layer_names[:-1]
        first, every = architecture_lib.FIRST_LAYER, architecture_lib.ALL_LAYERS
        self._normalized = {architecture_lib.NO_LAYER: (), first: hidden[:1], every: hidden}[layer_norm]
        self._activate_normalized = tf.tanh if layer_norm == first else policy_network.ACTIVATIONS[policy.activation]
        self._head_bias = head_bias
        self._named: dict[str, tf.Variable] = {}

    @property
    def num_atoms(self) -> int:
        """Atoms of the distribution."""
        return self._architecture.output_size

    def build(self, input_shape: Any) -> None:
        """Makes the variables; called once, by `create_variables`."""
        values = initial_variables.initial_variables(self._architecture, self._seed)
        if self._head_bias is not None:
            values["head/bias"][:] = self._head_bias
        for name, units in zip(self._normalized, self._architecture.hidden_sizes):
            values[f"{name}/{_NORM}/scale"] = np.ones(units, np.float32)
            values[f"{name}/{_NORM}/offset"] = np.zeros(units, np.float32)
        for name, value in values.items():
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
        dtype = self._compute_dtype_name
        x = tf.cast(x, dtype)
        for name in self._normalized:
            x = self._normalize(name, tf.cast(policy_network.dense(self._named, name, x), tf.float32))
            x = tf.cast(self._activate_normalized(x), dtype)
        others = self._architecture.layer_names[len(self._normalized) :]
        return policy_network.layers(self._architecture, self._named, x, dtype, others), network_state

    def _normalize(self, layer: str, x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        scale, offset = self._named[f"{layer}/{_NORM}/scale"], self._named[f"{layer}/{_NORM}/offset"]
        return tf.nn.batch_normalization(x, mean, variance, offset, scale, _NORM_EPSILON)
