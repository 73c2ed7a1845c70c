"""The policy network in TensorFlow: a TF-Agents `Network` that computes what `numpy_policy.forward` computes."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.networks import network

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.networks import inverting_gradients
from tfquarl.networks import quantization_aware

ACTIVATIONS = {"relu": tf.nn.relu, "tanh": tf.tanh}
"""Of hidden layers, by an architecture's name for them."""


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
        quantization: quantization_aware.QuantizationAware | None = None,
        train_step: Callable[[], Any] | None = None,
        inverts_gradients: bool = False,
    ) -> None:
        """Stores the arguments; `create_variables` makes the variables.

        Args:
          architecture: of the network.
          seed: of the first weights.
          head_bias: what the head gives at first, about.
          compute_dtype: of the matrix products, 'float32' or 'bfloat16'; variables and outputs stay float32.
          name: prefix of the variables' names.
          quantization: of a network that is trained quantized, whose matrix products are float32 for exactness; None computes in float.
          train_step: gives the train steps made so far, for the delay of the quantization.
          inverts_gradients: whether actions come back from their bounds by inverting gradients, instead of tanh's own.
        """
        if quantization is not None and architecture.is_categorical:
            raise ValueError("a categorical policy is trained in float, got a quantization")
        if compute_dtype not in architecture_lib.COMPUTE_DTYPES:
            raise ValueError(
                f"compute_dtype is '{compute_dtype}', needs one of {', '.join(architecture_lib.COMPUTE_DTYPES)}"
            )
        super().__init__(tf.TensorSpec([architecture.observation_size], tf.float32, "observation"), (), name)
        self._architecture = architecture
        self._seed = seed
        self._head_bias = head_bias
        self._compute_dtype_name = compute_dtype
        self._named: dict[str, tf.Variable] = {}
        self._quantization = quantization
        self._train_step = train_step
        self._head_tanh = inverting_gradients.tanh if inverts_gradients else tf.tanh
        self._quantized_layers: Any = None
        if quantization is not None:
            from tfquarl.networks import quantized_layers  # which imports tensorflow-model-optimization

            self._quantized_layers = quantized_layers.QuantizedLayers(architecture, quantization, self._head_tanh)

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
        if self._quantized_layers is not None:
            self._quantized_layers.build(self)
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

    def logits(self, observation: tf.Tensor) -> tf.Tensor:
        """Logits [B, num_actions, num_atoms] of the value distributions for observations [B, D]; categorical policies only."""
        self.create_variables()
        return self._logits(observation)

    def call(
        self, observation: tf.Tensor, step_type: Any = None, network_state: Any = (), training: bool = False
    ) -> tuple[tf.Tensor, Any]:
        """q_values [B, num_actions] or actions [B, A], float32, of observations [B, D]."""
        del step_type
        if self._architecture.is_categorical:
            return tf.linalg.matvec(tf.nn.softmax(self._logits(observation)), self._architecture.atoms()), network_state
        x = self.scale_observation(observation)
        if self._quantized_layers is not None:
            x = self._quantized(x, training)
        else:
            x = layers(self._architecture, self._named, x, self._compute_dtype_name)
            x = self._head_tanh(x) if self._architecture.head == "action" else x
        if self._architecture.head == "action":
            middle, half_range = self._architecture.action_scaling()
            x = middle + half_range * x
        return x, network_state

    def _logits(self, observation: tf.Tensor) -> tf.Tensor:
        x = layers(self._architecture, self._named, self.scale_observation(observation), self._compute_dtype_name)
        return tf.reshape(x, [-1, self._architecture.output_size, self._architecture.num_atoms])

    def activation_ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest value of each activation where the network now computes with quantized values; empty where in float."""
        if self._quantized_layers is None or not bool(self._is_quantizing()):
            return {}
        self.create_variables()
        ranges = self._quantized_layers.ranges
        return {name: (float(low.numpy()), float(high.numpy())) for name, (low, high) in ranges.items()}

    def _is_quantizing(self) -> Any:
        assert self._quantization is not None
        delay = self._quantization.config.quant_delay
        return True if delay == 0 or self._train_step is None else self._train_step() >= delay

    def _quantized(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """The layers' output for scaled observations: in float until the delay is over."""
        is_quantizing = self._is_quantizing()
        if is_quantizing is True:
            return self._quantized_layers(self._named, x, training)
        return tf.cond(
            is_quantizing,
            lambda: self._quantized_layers(self._named, x, training),
            lambda: self._quantized_layers.observe(self._named, x, training),
        )


def layers(
    architecture: architecture_lib.PolicyArchitecture,
    variables: Mapping[str, tf.Variable],
    x: tf.Tensor,
    dtype: str,
    names: Sequence[str] | None = None,
) -> tf.Tensor:
    """The dense layers, from scaled inputs to the head before its tanh.

    Args:
      architecture: tells layers and activation.
      variables: kernels and biases by name.
      x: float32 [B, inputs].
      dtype: of the matrix products and of what passes between the hidden layers.
      names: of the layers to go through; all of them if None.

    Returns:
      float32 [B, head_size].
    """
    x = tf.cast(x, dtype)
    for name in architecture.layer_names if names is None else names:
        x = dense(variables, name, x)
        if name != "head":
            x = ACTIVATIONS[architecture.activation](x)
    return tf.cast(x, tf.float32)


def dense(variables: Mapping[str, tf.Variable], name: str, x: tf.Tensor) -> tf.Tensor:
    """x @ kernel + bias [B, units] of the layer `name`, in the type of `x` [B, inputs]."""
    return tf.matmul(x, tf.cast(variables[f"{name}/kernel"], x.dtype)) + tf.cast(variables[f"{name}/bias"], x.dtype)
