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
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error of its own
        candidates = _candidates(layers, observations)
    needed = _needed(candidates)
    x, ranges = observations[needed[0]], []
    for layer, candidate, rows, following in zip(layers, candidates, needed, [*needed[1:], []]):
        # Only observations that a later layer needs are worth all units.
        own = x[_positions(candidate.rows, rows)]
        values = _activate(calibration_kernels.dense(own, layer.kernel, layer.bias, candidate.units), layer.activation)
        low = 0.0 if candidate.is_cut_off else float(values.min())
        high = float(values.max()) if values.size else 0.0
        ranges.append((low, max(high, _FIRST_MAXIMUM)))
        if following:
            x = x[_positions(following, rows)]
            x = _activate(calibration_kernels.dense(x, layer.kernel, layer.bias), layer.activation)
            if layer.activation == "tanh":
                x = calibration_kernels.tanh(x)
    return ranges


def _activate(x: np.ndarray, activation: str) -> np.ndarray:
    """What is recorded of a layer's sums."""
    return np.maximum(x, np.float32(0)) if activation == "relu" else x


@dataclasses.dataclass(frozen=True)
class _Candidates:
    """Where the extremes of one layer's output can be.

    Attributes:
      rows: numbers of the observations, sorted.
      units: numbers of the units, sorted.
      is_cut_off: whether a relu surely cuts some output off at 0, the minimum.
    """

    rows: Sequence[int]
    units: Sequence[int]
    is_cut_off: bool


def _needed(candidates: Sequence[_Candidates]) -> list[list[int]]:
    """For each layer the observations that are candidates of it or of a later one, sorted."""
    needed: list[list[int]] = []
    wanted: set[int] = set()
    for candidate in reversed(candidates):
        wanted |= set(candidate.rows)
        needed.insert(0, sorted(wanted))
    return needed


def _positions(wanted: Sequence[int], rows: Sequence[int]) -> list[int]:
    """Where the `wanted` ones are among `rows`."""
    position = {row: i for i, row in enumerate(rows)}
    return [position[row] for row in wanted]


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
        lowest, highest = float(x.min()), float(x.max())
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            raise OverflowError(number)
        error += 4 * _EPSILON * max(highest, -lowest)
        candidates.append(_extremes(x, lowest, highest, error, layer.activation))
        if layer.activation == "relu":
            np.maximum(x, np.zeros_like(layer.bias), out=x)  # a row of zeros is four times faster than one zero
        elif layer.activation == "tanh":
            np.tanh(x, out=x)
    return candidates


def _largest_norm(values: np.ndarray, axes: str) -> float:
    """The largest Euclidean norm of a row or a column, by the axes in `numpy.einsum`'s notation."""
    largest = float(np.einsum(axes, values, values).max())
    if not 1e-30 < largest < 1e30:  # its float32 squares may be lost
        largest = float(np.einsum(axes, values, values, dtype=np.float64).max())
    return math.sqrt(largest)


def _extremes(x: np.ndarray, lowest: float, highest: float, error: float, activation: str) -> _Candidates:
    """The candidates by outputs [N, units] before a relu, known up to `error`, and their extremes."""
    is_relu = activation == "relu"
    is_cut_off = is_relu and lowest < -error
    least_high = max(highest - 2 * error, -error if is_relu else -math.inf)
    places = _places_of(x >= _at_most(least_high))
    if not is_cut_off:
        places += _places_of(x <= -_at_most(-lowest - 2 * error))
    units = x.shape[1]
    rows = sorted({place // units for place in places})
    return _Candidates(rows, sorted({place % units for place in places}), is_cut_off)


def _places_of(chosen: np.ndarray) -> list[int]:
    """Flat indices of chosen elements; fast where few are chosen."""
    return chosen.ravel().nonzero()[0].tolist()


def _at_most(value: float) -> np.float32:
    """The float32 next to `value`, but not above it; comparing in float32 is fast."""
    return np.nextafter(np.float32(value), np.float32(-np.inf))
