"""Tests of quantization.calibration."""

import itertools

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.quantization import calibration
from tfquarl.quantization import calibration_kernels

_TINY = float(np.finfo(np.float32).tiny)


def _exact_ranges(layers: list[calibration.DenseLayer], x: np.ndarray) -> list[tuple[float, float]]:
    """All observations through the calibrator's arithmetic."""
    ranges = []
    for layer in layers:
        x = calibration_kernels.dense(x, layer.kernel, layer.bias)
        x = np.maximum(x, np.float32(0)) if layer.activation == "relu" else x
        ranges.append((float(x.min()), max(float(x.max()), _TINY)))
        x = calibration_kernels.tanh(x) if layer.activation == "tanh" else x
    return ranges


def test_ranges_by_hand():
    layers = [
        calibration.DenseLayer(np.float32([[1, -1]]), np.float32([0, 1]), "relu"),
        calibration.DenseLayer(np.float32([[2], [-1]]), np.float32([0.5]), "none"),
    ]
    # Outputs of the relu: (1, 0), (3, 0), (0, 3); of the last layer: 2.5, 6.5, -2.5.
    assert calibration.output_ranges(layers, np.float32([[1], [3], [-2]])) == [(0.0, 3.0), (-2.5, 6.5)]


def test_relu_that_is_never_positive():
    layers = [calibration.DenseLayer(np.float32([[1]]), np.float32([-9]), "relu")]
    assert calibration.output_ranges(layers, np.float32([[1], [2]])) == [(0.0, _TINY)]


def test_relu_that_never_cuts_off():
    layers = [calibration.DenseLayer(np.float32([[1]]), np.float32([9]), "relu")]
    assert calibration.output_ranges(layers, np.float32([[1], [2]])) == [(10.0, 11.0)]


def test_maximum_is_never_below_the_calibrators_first_one():
    layers = [calibration.DenseLayer(np.float32([[1]]), np.float32([0]), "none")]
    assert calibration.output_ranges(layers, np.float32([[-1], [-2]])) == [(-2.0, _TINY)]
    assert calibration.observation_range(np.float32([[-1], [-2]])) == (-2.0, _TINY)


def test_overflow_names_the_layer():
    layers = [calibration.DenseLayer(np.float32([[1e20]]), np.float32([0]), "none")] * 3
    with pytest.raises(OverflowError) as caught, np.errstate(over="ignore"):
        calibration.output_ranges(layers, np.float32([[1]]))
    assert caught.value.args == (1,)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    seed=strategies.integers(0, 2**32 - 1),
    sizes=strategies.lists(strategies.integers(1, 90), min_size=2, max_size=6),
    activation=strategies.sampled_from(["relu", "tanh"]),
    num_observations=strategies.integers(1, 40),
    spread=strategies.floats(-4, 4),
)
def test_ranges_are_those_of_all_observations(
    seed: int, sizes: list[int], activation: str, num_observations: int, spread: float
):
    generator = np.random.default_rng(seed)
    layers = []
    for i, (inputs, units) in enumerate(itertools.pairwise(sizes)):
        kernel = generator.standard_normal((inputs, units), np.float32) * np.float32(np.exp(spread) / np.sqrt(inputs))
        bias = generator.standard_normal(units, np.float32) * np.float32(generator.integers(2))
        layers.append(calibration.DenseLayer(kernel, bias, activation if i < len(sizes) - 2 else "none"))
    observations = generator.standard_normal((num_observations, sizes[0]), np.float32)
    assert calibration.output_ranges(layers, observations) == _exact_ranges(layers, observations)
