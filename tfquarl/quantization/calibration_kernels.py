"""The float32 kernels by which TensorFlow 2.15's calibrator runs a policy at batch 1, bit for bit, in numpy.

Its recorded ranges hold the rounding of these kernels, so that whoever wants its very result needs their order of summation: that of
Eigen built for AVX without fused multiply-add, eight partial sums over the inputs in steps of eight. Eigen's own source is the
reference: Core/products/GeneralMatrixVector.h, Core/Redux.h, and generic_fast_tanh_float in Core/MathFunctionsImpl.h.
"""

from collections.abc import Sequence

import numpy as np

_LANES = 8
_TANH_CLAMP = np.float32(7.90531110763549805)
_TANH_TINY = np.float32(0.0004)
_TANH_NUMERATOR = np.array(
    [
        -2.76076847742355e-16,
        2.00018790482477e-13,
        -8.60467152213735e-11,
        5.12229709037114e-08,
        1.48572235717979e-05,
        6.37261928875436e-04,
        4.89352455891786e-03,
    ],
    np.float32,
)
_TANH_DENOMINATOR = np.array(
    [1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03], np.float32
)


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, units: Sequence[int] | slice = slice(None)
) -> np.ndarray:
    """x @ kernel + bias as the calibrator rounds it.

    Args:
      x: float32 [B, inputs].
      kernel: float32 [inputs, units].
      bias: float32 [units].
      units: which of them are wanted.

    Returns:
      float32 [B, wanted units].
    """
    inputs, num_units = kernel.shape
    if num_units == 1:
        return (_dot(x, kernel[:, 0])[:, np.newaxis] + bias)[:, units]
    wanted = kernel[:, units]
    full = inputs // _LANES * _LANES
    result = _reduce(_partial_sums(x, wanted, full))
    is_alone = np.arange(num_units)[units] == num_units - 1
    if num_units % 2 and inputs - full >= 4 and is_alone.any():
        # Eigen takes units by 8, 4 and 2, and what is left alone, with a half step over four of the inputs that are left.
        alone = result[:, is_alone] + _reduce(x[:, full : full + 4] * kernel[full : full + 4, -1])[:, np.newaxis]
        for i in range(full + 4, inputs):
            alone = alone + x[:, i, np.newaxis] * kernel[i, -1]
    else:
        alone = None
    for i in range(full, inputs):
        result += x[:, i, np.newaxis] * wanted[i]
    if alone is not None:
        result[:, is_alone] = alone
    return result + bias[units]


def tanh(x: np.ndarray) -> np.ndarray:
    """The rational approximation of tanh, float32, any shape."""
    clamped = np.clip(x, -_TANH_CLAMP, _TANH_CLAMP)
    square = clamped * clamped
    ratio = clamped * _horner(square, _TANH_NUMERATOR) / _horner(square, _TANH_DENOMINATOR)
    return np.where(np.abs(x) < _TANH_TINY, clamped, ratio)


def _partial_sums(x: np.ndarray, kernel: np.ndarray, stop: int) -> np.ndarray:
    """Sums [B, 8, units] over every eighth input up to `stop`, a multiple of eight, one after the other.

    einsum adds up in the order of its summed axis, rounds each product, and reads the kernel once a row.
    """
    batch, units, num_steps = x.shape[0], kernel.shape[1], stop // _LANES
    sums = np.empty((batch, _LANES, units), np.float32)
    steps = kernel[:stop].reshape(num_steps, _LANES, units)
    for row, out in zip(x[:, :stop].reshape(batch, num_steps, _LANES), sums):
        np.einsum("sl,slj->lj", row, steps, out=out)
    return sums


def _reduce(sums: np.ndarray) -> np.ndarray:
    """The sum over axis 1 of eight or four partial sums [B, lanes, ...], halved and halved again."""
    lanes = sums.shape[1]
    while lanes > 1:
        lanes //= 2
        sums = sums[:, :lanes] + sums[:, lanes : 2 * lanes]
    return sums[:, 0]


def _dot(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x @ weights [B] for a single unit: two packets of partial sums in turn."""
    products = x * weights
    size = products.shape[1]
    full, double = size // _LANES * _LANES, size // (2 * _LANES) * (2 * _LANES)
    if full == 0:
        result = products[:, 0]
        rest = 1
    else:
        packets = products[:, :full].reshape(len(x), full // _LANES, _LANES)
        sums = packets[:, 0]
        if double:
            odd = packets[:, 1]
            for i in range(2, double // _LANES, 2):
                sums, odd = sums + packets[:, i], odd + packets[:, i + 1]
            sums = sums + odd
            if full > double:
                sums = sums + packets[:, -1]
        result = _reduce(sums)
        rest = full
    for i in range(rest, size):
        result = result + products[:, i]
    return result


def _horner(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    value = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        value = x * value + coefficient
    return value
