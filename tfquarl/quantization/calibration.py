"""The range that each layer's output takes over the calibration observations, as TensorFlow's calibrator records it, but fast.

The calibrator runs the float policy on one observation after the other. Here one matrix product per layer finds the few observations
that can hold a layer's minimum or maximum, and only these go through the calibrator's own arithmetic.
"""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from tfquarl.quantization import calibration_kernels

# The calibrator starts its maxima with the smallest normal number instead of the smallest one.
_FIRST_MAXIMUM = float(np.finfo(np.float32).tiny)
_EPSILON = float(np.finfo(np.float32).eps)


@dataclasses.dataclass(frozen=True)
class DenseLayer:
    """One layer: activation(x @ kernel + bias).

    Attributes:
      kernel: float32 [inputs, units].
      bias: float32 [units].
      activation: 'relu' (part of the recorded output), 'tanh' (after it) or 'none'.
    """

    kernel: np.ndarray
    bias: np.ndarray
    activation: str


def observation_range(observations: np.ndarray) -> tuple[float, float]:
    """Minimum and maximum of the observations [N, D] as they enter the network."""
    return float(observations.min()), max(float(observations.max()), _FIRST_MAXIMUM)


def output_ranges(layers: Sequence[DenseLayer], observations: np.ndarray) -> list[tuple[float, float]]:
    """Minimum and maximum of each layer's output, after a relu and before a tanh.

    Args:
      layers: of the network.
      observations: float32 [N, D] as they enter the network.

    Raises:
      OverflowError: with the index of the layer whose output is not finite.
    """
    candidates = _candidates(layers, observations)
    needed = [np.unique(np.concatenate([c.indices for c in candidates[i:]])) for i in range(len(layers))]
    rows, x = needed[0], observations[needed[0]]
    ranges = []
    for layer, candidate, following in zip(layers, candidates, [*needed[1:], needed[0][:0]]):
        x = calibration_kernels.dense(x, layer.kernel, layer.bias)
        if layer.activation == "relu":
            x = np.maximum(x, np.float32(0))
        values = x[np.isin(rows, candidate.indices)]
        low = 0.0 if candidate.is_cut_off else float(values.min())
        high = float(values.max()) if values.size else 0.0
        ranges.append((low, max(high, _FIRST_MAXIMUM)))
        x, rows = x[np.isin(rows, following)], following
        if layer.activation == "tanh":
            x = calibration_kernels.tanh(x)
    return ranges


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """Which observations can hold the extremes of one layer's output.

    Attributes:
      indices: of the observations.
      is_cut_off: whether a relu surely cuts some output off at 0, the minimum.
    """

    indices: np.ndarray
    is_cut_off: bool


def _candidates(layers: Sequence[DenseLayer], observations: np.ndarray) -> list[_Candidates]:
    """The candidates of each layer."""
    x, error = observations, 0.0
    candidates = []
    for number, layer in enumerate(layers):
        size = math.sqrt(len(layer.kernel))
        norm, kernel_norm = _largest_norm(x, "ij,ij->i"), _largest_norm(layer.kernel, "ij,ij->j")
        # Both results are float sums of the same terms in another order: each is off by a few epsilon times the root of their
        # number, relative to the norms; and what the layers before are off adds up like independent errors. Both are taken wide.
        error = 4 * _EPSILON * size * norm * kernel_norm + 2 * error * kernel_norm
        x = x @ layer.kernel
        x += layer.bias
        low, high = x.min(axis=1), x.max(axis=1)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise OverflowError(number)
        error += 4 * _EPSILON * max(float(high.max()), -float(low.min()))
        candidates.append(_extremes(low, high, error, layer.activation))
        if layer.activation == "relu":
            np.maximum(x, 0, out=x)
        elif layer.activation == "tanh":
            np.tanh(x, out=x)
    return candidates


def _largest_norm(values: np.ndarray, axes: str) -> float:
    """The largest Euclidean norm of a row or a column, by the axes in `numpy.einsum`'s notation."""
    largest = float(np.einsum(axes, values, values).max())
    if not 1e-30 < largest < 1e30:  # its float32 squares may be lost
        largest = float(np.einsum(axes, values, values, dtype=np.float64).max())
    return math.sqrt(largest)


def _extremes(low: np.ndarray, high: np.ndarray, error: float, activation: str) -> _Candidates:
    """The candidates by each observation's `low` and `high`, known up to `error`."""
    is_lowest, is_highest = low <= low.min() + 2 * error, high >= high.max() - 2 * error
    is_cut_off = activation == "relu" and bool(low.min() < -error)
    if activation == "relu":
        is_highest &= high > -error  # nothing else can be above 0
    chosen = is_highest if is_cut_off else is_lowest | is_highest
    return _Candidates(np.nonzero(chosen)[0], is_cut_off)
