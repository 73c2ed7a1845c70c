"""The integer arithmetic of quantization: real = scale * (integer - zero_point), rounded as TensorFlow 2.15's converter rounds.

Two families meet here. int8 activations follow the MLIR quantizer (tensorflow/compiler/mlir/lite/quantization: ranges in double, scales
rounded to float32); weights, biases and int16 activations follow the older one in float32 (tensorflow/lite/tools/optimize).
Halves are rounded away from zero in all of them.
"""

from collections.abc import Iterator
import dataclasses
import math

import numpy as np

WEIGHT_LIMIT = 127
BIAS_LIMIT = (1 << 31) - 1
TANH_SCALES = {"int8": np.float32(1 / 128), "int16": np.float32(1 / 32768)}

# A calibrated range is at least this wide on either side where it is narrower than this.
_NARROW_RANGE = 1e-6
# 127 divided by less overflows in float32.
_LEAST_WEIGHT = 4e-37
# Biases stay within half of int32, to leave room for the accumulator.
_BIAS_HALF = BIAS_LIMIT // 2
# The quantizer measures a kernel's scale again, and takes its own where both are this close.
_SCALE_TOLERANCE = 1e-3
_BLOCK_ELEMENTS = 1 << 15
_CACHE_LINE_BYTES = 64
_SIGN_BIT = np.uint32(1 << 31)
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))
_BELOW_HALF_BITS = _BELOW_HALF.view(np.uint32)


@dataclasses.dataclass(frozen=True)
class Quantization:
    """Scale and zero point of one tensor."""

    scale: np.float32
    zero_point: int = 0


@dataclasses.dataclass(frozen=True)
class LayerScales:
    """Scales of a layer's constants.

    Attributes:
      kernel: of the kernel, in double as the quantizer holds it.
      bias: of the bias.
    """

    kernel: float
    bias: float


def round_away(values: np.ndarray) -> np.ndarray:
    """Nearest integers as floats of the same type, halves away from zero.

    Adding the largest number below one half and cutting off is exact where adding one half isn't: 0.49999997 + 0.5 is 1.
    """
    below_half = np.nextafter(values.dtype.type(0.5), values.dtype.type(0))
    return np.trunc(values + np.copysign(below_half, values))


def _nearest(value: np.float32) -> int:
    """Nearest integer, halves away from zero; for small values, whose sum with one half is exact."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))


def int8_activation(minimum: float, maximum: float) -> Quantization:
    """Scale and zero point of an int8 activation with values in [minimum, maximum]; the range is widened to hold 0."""
    low, high = min(float(minimum), 0.0), max(float(maximum), 0.0)
    if high - low <= _NARROW_RANGE:
        low, high = low - _NARROW_RANGE, high + _NARROW_RANGE
    scale = (np.float32(high) - np.float32(low)) / np.float32(255)
    zero_point = np.float32(-128 - low / float(scale))
    return Quantization(scale, _nearest(min(max(zero_point, np.float32(-128)), np.float32(127))))


def int16_activation(minimum: float, maximum: float) -> Quantization:
    """Scale of an int16 activation with values in [minimum, maximum], symmetric around 0."""
    return Quantization(np.float32(max(abs(minimum), abs(maximum))) / np.float32(32767))


def kernel_scale(largest: float) -> np.float32:
    """Scale of an int8 kernel by its largest absolute value: symmetric, without -128."""
    half_range = largest if 2 * float(largest) > _NARROW_RANGE else _NARROW_RANGE / 2
    return (np.float32(half_range) - np.float32(-half_range)) / np.float32(2 * WEIGHT_LIMIT)


def dynamic_kernel_scale(largest: float) -> float:
    """As `kernel_scale`, for recipes with dynamic ranges, in double."""
    half_range = largest if 2 * float(largest) > _NARROW_RANGE else _NARROW_RANGE / 2
    return 2 * float(half_range) / (2 * WEIGHT_LIMIT)


def layer_scales(input_scale: np.float32, largest_weight: float, largest_bias: float) -> LayerScales:
    """Scales of kernel and int32 bias; the kernel's grows where the bias wouldn't fit otherwise.

    Args:
      input_scale: of the layer's input.
      largest_weight: largest absolute value of the kernel.
      largest_bias: largest absolute value of the bias.
    """
    kernel = float(kernel_scale(largest_weight))
    bias = float(np.float32(float(input_scale) * kernel))
    if float(largest_bias) / bias < _BIAS_HALF:
        return LayerScales(kernel, bias)
    bias = float(largest_bias) / _BIAS_HALF
    return LayerScales(bias / float(input_scale), bias)


def int16_layer_scales(input_scale: np.float32, largest_weight: np.float32) -> LayerScales:
    """Scales of kernel and int64 bias beside int16 activations, in float32.

    Args:
      input_scale: of the layer's input.
      largest_weight: largest absolute value of the kernel, above 0.
    """
    kernel = np.float32(largest_weight) / np.float32(WEIGHT_LIMIT)
    return LayerScales(float(kernel), float(input_scale * kernel))


def int16_bias_fits(largest_input: float, largest_weight: float, largest_bias: float) -> bool:
    """Whether the quantizer surely leaves an int16 layer's kernel scale alone: it treats biases as if they had 32 bits."""
    input_scale, kernel = largest_input / 32767, largest_weight / WEIGHT_LIMIT
    return largest_bias / BIAS_LIMIT < 0.25 * input_scale * kernel  # from 0.5 on it would surely change it


def quantize_kernel(kernel: np.ndarray, largest: np.float32, scale: float, out: np.ndarray) -> None:
    """Writes the int8 kernel.

    Args:
      kernel: float32 [inputs, units].
      largest: its largest absolute value.
      scale: of the recipe.
      out: int8 [units, inputs].

    Raises:
      OverflowError: weights so small that the quantizer's own arithmetic overflows.
    """
    own = largest / np.float32(WEIGHT_LIMIT) if largest > 0 else np.float32(1)
    if abs(float(own) - scale) > _SCALE_TOLERANCE:
        quantize_dynamic_kernel(kernel, scale, out)
        return
    if largest == 0:
        out[...] = 0
        return
    if largest < _LEAST_WEIGHT:
        raise OverflowError(f"a largest weight of {largest}")
    inverse = np.float32(WEIGHT_LIMIT) / largest
    rows = _spread_rows(kernel.shape)
    for block in row_blocks(kernel):
        steps = kernel[block] * inverse
        # copysign of the largest number below one half, by its bits, which is several times faster.
        halves = steps.view(np.uint32) & _SIGN_BIT
        halves |= _BELOW_HALF_BITS
        steps += halves.view(np.float32)
        np.copyto(rows[block], steps, casting="unsafe")
    out[...] = rows.T


def _spread_rows(shape: tuple[int, ...]) -> np.ndarray:
    """An empty int8 [inputs, units] whose columns are read fast: rows a power of two apart would share few places of the cache."""
    return np.empty((shape[0], shape[1] + _CACHE_LINE_BYTES), np.int8)[:, : shape[1]]


def quantize_dynamic_kernel(kernel: np.ndarray, scale: float, out: np.ndarray) -> None:
    """Writes the int8 kernel [units, inputs] of a float32 kernel [inputs, units], in double."""
    rows = _spread_rows(kernel.shape)
    for block in row_blocks(kernel):
        steps = round_away(kernel[block].astype(np.float64) / scale)
        np.copyto(rows[block], np.clip(steps, -WEIGHT_LIMIT, WEIGHT_LIMIT), casting="unsafe")
    out[...] = rows.T


def row_blocks(kernel: np.ndarray) -> Iterator[slice]:
    """Slices of rows that stay in the cache between the steps of a computation."""
    rows = max(1, _BLOCK_ELEMENTS // kernel.shape[1])
    for start in range(0, len(kernel), rows):
        yield slice(start, start + rows)


def quantize_bias(bias: np.ndarray, scale: float, dtype: str) -> np.ndarray:
    """The bias [units] as 'int32' or 'int64' at `scale`."""
    steps = bias * np.float32(1.0 / float(np.float32(scale)))
    steps += np.copysign(_BELOW_HALF, steps)
    if dtype == "int32" and np.abs(steps).max() >= BIAS_LIMIT:
        return np.clip(np.trunc(steps).astype(np.float64), -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32)
    return steps.astype(dtype)
