"""The arithmetic of values of 2 to 8 bits that lie in int8 containers: which real numbers they are, and how others become them.

Everything here is plain float32 arithmetic in one fixed order, so that the training network, this module and the XNNPACK kernels of the
runtime reach the same integers: sums of integers below 2^24 are exact in float32, and one multiplication by input scale * weight scale /
output scale follows, rounded to the nearest integer, halves to the even one.

An activation of n bits has 2^n steps. In an int8 tensor they are the topmost ones, up to 127, so that the upper end saturates by itself;
the lower end is a relu's zero, or a clamp before the values are quantized.
"""

from collections.abc import Mapping
import dataclasses

import numpy as np

from tfquarl.quantization import bit_widths

# Beyond, the tanh of an action or of a hidden value is within 1/1024 of its end: an eighth of an int8 step of a tanh.
TANH_RANGE = 4.0
TANH_STEPS = 128
# An accumulator of 2^24 is the largest that float32 counts exactly; a bias gets a quarter of it.
LARGEST_BIAS = float(1 << 22)
NARROWEST_RANGE = 1e-6
SMALLEST_WEIGHT = 1e-12
LARGEST_MULTIPLIER = 128.0
_NO_SUMS = np.float32(0)

Range = tuple[float, float]
"""Least and largest value of an activation."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """The real numbers (k - zero) * scale for k = 0 .. num_steps - 1.

    Attributes:
      scale: of one step, float32.
      zero: the k that is 0.
      bits: log2 of the number of steps.
    """

    scale: np.float32
    zero: int
    bits: int

    @property
    def lowest(self) -> int:
        """(k - zero) of the lowest number."""
        return -self.zero

    @property
    def highest(self) -> int:
        """(k - zero) of the highest number."""
        return (1 << self.bits) - 1 - self.zero

    @property
    def zero_point(self) -> int:
        """Zero point of the int8 tensor that holds it, with the highest number at 127."""
        return 127 - self.highest

    def round(self, steps: np.ndarray) -> np.ndarray:
        """The nearest (k - zero) of real numbers in units of `scale`, float32."""
        return np.clip(np.rint(steps), np.float32(self.lowest), np.float32(self.highest))


def reciprocal(steps: float) -> np.float32:
    """1 / steps, which ranges are multiplied by to become scales.

    To divide by the steps would round otherwise, but TensorFlow makes a product of each division by a constant in a compiled function:
    the network that is trained would have other scales than the one that acts.
    """
    return np.float32(1) / np.float32(steps)


def activation_grid(limits: Range, bits: int, sum_scale: np.float32 = _NO_SUMS) -> Grid:
    """The grid of an activation with values in `limits`, which are widened to hold 0.

    Args:
      limits: least and largest value.
      bits: of the values.
      sum_scale: largest step of the sums that become this activation. XNNPACK's kernels refuse, and some crash on, sums whose step is
        256 steps of the activation or more; such an activation gets larger steps.
    """
    low, high = np.float32(min(limits[0], 0.0)), np.float32(max(limits[1], 0.0))
    scale = np.maximum(high - low, np.float32(NARROWEST_RANGE)) * reciprocal((1 << bits) - 1)
    scale = np.maximum(scale, sum_scale / np.float32(LARGEST_MULTIPLIER))
    zero = np.clip(np.rint(-low / scale), np.float32(0), np.float32((1 << bits) - 1))
    return Grid(np.float32(scale), int(zero), bits)


def before_tanh(limits: Range) -> Range:
    """The part of a range that a tanh behind it needs."""
    return max(limits[0], -TANH_RANGE), min(limits[1], TANH_RANGE)


def weight_limit(bits: int) -> int:
    """The largest integer of an n-bit weight; the smallest is its negative."""
    return (1 << (bits - 1)) - 1


def weight_scales(
    kernel: np.ndarray, bias: np.ndarray, input_scale: np.float32, widths: bit_widths.BitWidths
) -> np.ndarray:
    """Scales of a kernel's units, float32 [units]; all the same where there is one for the layer.

    The largest weight of a unit, or of the layer, is the largest integer. A bias too large for that gets larger steps.

    Args:
      kernel: float32 [inputs, units].
      bias: float32 [units].
      input_scale: of the layer's input.
      widths: of the policy.
    """
    largest, largest_bias = np.abs(kernel).max(axis=0), np.abs(bias)
    if not widths.per_channel:
        largest, largest_bias = (np.full_like(value, value.max()) for value in (largest, largest_bias))
    scales = np.maximum(largest, np.float32(SMALLEST_WEIGHT)) * reciprocal(weight_limit(widths.weights))
    return np.maximum(scales, largest_bias / (input_scale * np.float32(LARGEST_BIAS)))


def quantize_weights(kernel: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """The integers of a kernel [inputs, units] at `scales` [units], as float32."""
    limit = np.float32(weight_limit(bits))
    return np.clip(np.rint(kernel / scales), -limit, limit)


def quantize_bias(bias: np.ndarray, scales: np.ndarray, input_scale: np.float32) -> np.ndarray:
    """The integers of a bias [units], as float32: steps of the accumulator, input scale * weight scale."""
    return np.rint(bias / (input_scale * scales))


@dataclasses.dataclass(frozen=True)
class PackedSize:
    """What a low-bit policy holds.

    Attributes:
      num_weights: in all kernels.
      weight_bits: of each.
      packed_bytes: of all kernels where each weight takes its bits and no more, beside int32 biases.
      stored_bytes: of the same in int8 containers.
    """

    num_weights: int
    weight_bits: int
    packed_bytes: int
    stored_bytes: int


def packed_size(shapes: Mapping[str, tuple[int, ...]], bits: int) -> PackedSize:
    """The size of the constants of a policy, by the shapes of its variables."""
    kernels = [shape[0] * shape[1] for name, shape in shapes.items() if name.endswith("/kernel")]
    bias_bytes = 4 * sum(shape[0] for name, shape in shapes.items() if name.endswith("/bias"))
    num_weights = sum(kernels)
    return PackedSize(
        num_weights, bits, sum(-(-count * bits // 8) for count in kernels) + bias_bytes, num_weights + bias_bytes
    )
