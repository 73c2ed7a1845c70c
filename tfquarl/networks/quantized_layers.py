"""The dense layers of a policy that is trained quantized: whole numbers forwards, straight-through gradients backwards.

Forwards the layers compute what `low_bit_policy` computes in numpy and what the exported model computes in the runtime: the same whole
numbers. Backwards the rounding isn't there: values within their range pass gradients, those beyond it none, as
tensorflow-model-optimization's fake quantizers have it, which also keep the ranges.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import tensorflow as tf

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import low_bit_policy
from tfquarl.networks import quantization_aware
from tfquarl.networks import range_quantizers
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit


class _Values(NamedTuple):
    """Values on a grid.

    Attributes:
      steps: whole numbers with gradients, float32 [B, size].
      scale: of one step, without a gradient.
    """

    steps: tf.Tensor
    scale: tf.Tensor


class QuantizedLayers:
    """From scaled observations to the head before its tanh scaling; the variables belong to the network that calls."""

    def __init__(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        quantization: quantization_aware.QuantizationAware,
        head_tanh: Callable[[tf.Tensor], tf.Tensor] = tf.tanh,
    ) -> None:
        """Stores the arguments; `build` makes the variables of the ranges.

        Args:
          architecture: of the network.
          quantization: widths and what else is to be known of them.
          head_tanh: of an action head: a tanh, with gradients of its own.
        """
        self._architecture = architecture
        self._head_tanh = head_tanh
        self._widths = quantization.widths
        self._centers = quantization.centers_q_values and architecture.head == "q_values"
        self._quantizers: dict[str, Any] = {
            name: range_quantizers.make(self._range_bits(name), quantization.config)
            for name in low_bit_policy.range_names(architecture)
        }
        self._ranges: dict[str, dict[str, tf.Variable]] = {}

    def build(self, network: Any) -> None:
        """Makes the ranges' variables as weights of `network`."""
        for name, quantizer in self._quantizers.items():
            self._ranges[name] = quantizer.build(None, f"{name}/range", network)

    @property
    def ranges(self) -> dict[str, tuple[tf.Variable, tf.Variable]]:
        """Variables of least and largest value by the names of `low_bit_policy.range_names`."""
        return {name: (weights["min_var"], weights["max_var"]) for name, weights in self._ranges.items()}

    def observe(self, variables: Mapping[str, tf.Variable], x: tf.Tensor, training: bool) -> tf.Tensor:
        """What the float network gives, float32 [B, output_size]; its ranges are followed where `training`.

        Args:
          variables: kernels and biases by name.
          x: scaled observations, float32 [B, D].
          training: whether this is a train step.
        """
        self._follow(low_bit_policy.INPUT, x, training)
        for name in self._architecture.layer_names:
            kernel, bias, mean_kernel, mean_bias = self._constants(variables, name)
            value = tf.matmul(x, mean_kernel) + mean_bias if mean_kernel is not None else 0.0
            x = tf.matmul(x, kernel) + bias
            if not self._has_tanh(name) and name != "head":
                x = tf.nn.relu(x)
            self._follow(name, x, training)
            x = (self._smooth_tanh(name, x) if self._has_tanh(name) else x) + value
        return x

    def __call__(self, variables: Mapping[str, tf.Variable], x: tf.Tensor, training: bool) -> tf.Tensor:
        """What the quantized network gives, float32 [B, output_size]; arguments as of `observe`."""
        value: Any = 0.0
        bits = self._widths.inputs
        values = self._on_grid(low_bit_policy.INPUT, x, lambda scale: x * (1.0 / scale), bits, 0.0, training)
        for name in self._architecture.layer_names:
            kernel, bias, mean_kernel, mean_bias = self._constants(variables, name)
            if mean_kernel is not None:
                value = tf.matmul(values.steps * values.scale, mean_kernel) + mean_bias
            values = self._layer(name, values, kernel, bias, training)
        return values.steps * values.scale + value

    def _layer(self, name: str, source: _Values, kernel: tf.Tensor, bias: tf.Tensor, training: bool) -> _Values:
        scales = tf.stop_gradient(self._weight_scales(kernel, bias, source.scale))
        steps = tf.round(kernel / scales)
        limit = low_bit.weight_limit(self._widths.weights)
        weights = _straight_through(tf.clip_by_value(steps, -float(limit), float(limit)), kernel / scales)
        accumulator_scales = source.scale * scales
        biases = _straight_through(tf.round(bias / accumulator_scales), bias / accumulator_scales)
        sums = tf.matmul(source.steps, weights) + biases
        real = sums * accumulator_scales
        if not self._has_tanh(name) and name != "head":
            real = tf.nn.relu(real)
        bits, sum_scale = self._range_bits(name), tf.reduce_max(accumulator_scales)
        values = self._on_grid(name, real, lambda scale: sums * (accumulator_scales / scale), bits, sum_scale, training)
        return self._tanh(name, values) if self._has_tanh(name) else values

    def _tanh(self, name: str, values: _Values) -> _Values:
        real = self._smooth_tanh(name, values.steps * values.scale)
        steps = tf.clip_by_value(tf.round(real * low_bit.TANH_STEPS), -low_bit.TANH_STEPS, low_bit.TANH_STEPS - 1.0)
        scale = self._tanh_scale(name)
        if self._bits(name) < bit_widths.MAX_BITS:
            steps = tf.floor(steps * (low_bit.weight_limit(self._bits(name)) / low_bit.TANH_STEPS) + 0.5)
        return _Values(_straight_through(steps, real / scale), scale)

    def _smooth_tanh(self, name: str, x: tf.Tensor) -> tf.Tensor:
        return self._head_tanh(x) if name == "head" else tf.tanh(x)

    def _on_grid(
        self, name: str, real: tf.Tensor, steps: Any, bits: int, sum_scale: tf.Tensor | float, training: bool
    ) -> _Values:
        """Real values on their grid; `steps` gives them in units of the grid's scale, by the arithmetic of the runtime."""
        rounded = self._quantizers[name](real, training, self._ranges[name], is_observing=False)
        scale, zero = self._grid(name, bits, sum_scale)
        whole = tf.clip_by_value(tf.round(steps(scale)), -zero, 2.0**bits - 1.0 - zero)
        return _Values(_straight_through(whole, rounded / scale), scale)

    def _grid(self, name: str, bits: int, sum_scale: tf.Tensor | float) -> tuple[tf.Tensor, tf.Tensor]:
        """Scale and zero of an activation, as `low_bit.activation_grid` has them, without gradients."""
        low, high = (tf.stop_gradient(tf.identity(self._ranges[name][end])) for end in ("min_var", "max_var"))
        if self._has_tanh(name):
            low, high = tf.maximum(low, -low_bit.TANH_RANGE), tf.minimum(high, low_bit.TANH_RANGE)
        low, high = tf.minimum(low, 0.0), tf.maximum(high, 0.0)
        largest = 2.0**bits - 1.0
        scale = tf.maximum(high - low, low_bit.NARROWEST_RANGE) * low_bit.reciprocal(largest)
        scale = tf.maximum(scale, sum_scale / low_bit.LARGEST_MULTIPLIER)
        return scale, tf.clip_by_value(tf.round(-low / scale), 0.0, largest)

    def _weight_scales(self, kernel: tf.Tensor, bias: tf.Tensor, input_scale: tf.Tensor) -> tf.Tensor:
        """Scales [units], as `low_bit.weight_scales` has them."""
        axis = 0 if self._widths.per_channel else None
        largest = tf.reduce_max(tf.abs(kernel), axis)
        largest_bias = tf.abs(bias) if self._widths.per_channel else tf.reduce_max(tf.abs(bias))
        scales = tf.maximum(largest, low_bit.SMALLEST_WEIGHT) * low_bit.reciprocal(
            low_bit.weight_limit(self._widths.weights)
        )
        scales = tf.maximum(scales, largest_bias / (input_scale * low_bit.LARGEST_BIAS))
        return tf.broadcast_to(scales, tf.shape(bias))

    def _constants(self, variables: Mapping[str, tf.Variable], name: str) -> tuple[Any, Any, Any, Any]:
        """Kernel and bias of a layer, and their means over the actions where these are taken off the head."""
        kernel, bias = (tf.convert_to_tensor(variables[f"{name}/{part}"]) for part in ("kernel", "bias"))
        if not self._centers or name != "head":
            return kernel, bias, None, None
        wide = [tf.cast(value, tf.float64) for value in (kernel, bias)]
        means = [tf.reduce_mean(value, axis=-1, keepdims=True) for value in wide]
        centred = [tf.cast(value - mean, tf.float32) for value, mean in zip(wide, means)]
        mean_kernel, mean_bias = (tf.cast(mean, tf.float32) for mean in means)
        return centred[0], centred[1], mean_kernel, mean_bias

    def _follow(self, name: str, x: tf.Tensor, training: bool) -> None:
        if training:
            self._quantizers[name](tf.stop_gradient(x), True, self._ranges[name], is_observing=True)

    def _has_tanh(self, name: str) -> bool:
        if name == low_bit_policy.INPUT:
            return False
        return self._architecture.head == "action" if name == "head" else self._architecture.activation == "tanh"

    def _bits(self, name: str) -> int:
        """Bits of what the layer gives."""
        ends = {low_bit_policy.INPUT: self._widths.inputs, "head": self._widths.outputs}
        return ends.get(name, self._widths.activations)

    def _range_bits(self, name: str) -> int:
        """Bits of the activation that has the range, before a tanh."""
        return bit_widths.MAX_BITS if self._has_tanh(name) else self._bits(name)

    def _tanh_scale(self, name: str) -> tf.Tensor:
        return tf.constant(low_bit_policy.tanh_grid(self._bits(name)).scale)


def _straight_through(whole: tf.Tensor, smooth: tf.Tensor) -> tf.Tensor:
    """`whole` forwards, the gradient of `smooth` backwards."""
    return tf.stop_gradient(whole) + (smooth - tf.stop_gradient(smooth))
