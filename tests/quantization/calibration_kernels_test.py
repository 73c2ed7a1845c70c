"""Tests of quantization.calibration_kernels; that they are TensorFlow's is shown by the converter's tests."""

import math

import numpy as np
import pytest

from tfquarl.quantization import calibration_kernels


@pytest.mark.parametrize("inputs", [1, 3, 4, 7, 8, 9, 12, 15, 16, 24, 29, 100])
@pytest.mark.parametrize("units", [1, 2, 3, 8, 13])
def test_dense_is_a_matrix_product(inputs: int, units: int):
    generator = np.random.default_rng(inputs * 100 + units)
    x, kernel = (
        generator.standard_normal((5, inputs), np.float32),
        generator.standard_normal((inputs, units), np.float32),
    )
    bias = generator.standard_normal(units, np.float32)
    found = calibration_kernels.dense(x, kernel, bias)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, x.astype(np.float64) @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inputs", [1, 7, 8, 12, 15, 24, 29])
@pytest.mark.parametrize(("units", "wanted"), [(1, [0]), (2, [1]), (8, [0, 5]), (13, [12]), (13, [3, 12]), (13, [])])
def test_some_units_are_those_of_all(inputs: int, units: int, wanted: list[int]):
    generator = np.random.default_rng(inputs * 100 + units)
    x, kernel = (generator.standard_normal(shape, np.float32) for shape in ((5, inputs), (inputs, units)))
    bias = generator.standard_normal(units, np.float32)
    found = calibration_kernels.dense(x, kernel, bias, wanted)
    np.testing.assert_array_equal(found, calibration_kernels.dense(x, kernel, bias)[:, wanted])


def test_dense_sums_every_eighth_input_first():
    # The partial sums of inputs (0, 8) and (4, 12) lose the 1s beside 2^24; in any other order one of them stays.
    x = np.zeros((1, 16), np.float32)
    x[0, [0, 8, 4, 12]] = [2**24, 1, -(2**24), 1]
    assert calibration_kernels.dense(x, np.ones((16, 2), np.float32), np.zeros(2, np.float32))[0, 0] == 1
    assert x.astype(np.float64).sum() == 2


def test_dense_of_no_observations():
    found = calibration_kernels.dense(
        np.empty((0, 9), np.float32), np.ones((9, 1), np.float32), np.zeros(1, np.float32)
    )
    assert found.shape == (0, 1)


def test_tanh():
    x = np.float32([0, 1e-5, 0.5, -2, 7.9, 50, -50])
    np.testing.assert_allclose(calibration_kernels.tanh(x), [math.tanh(v) for v in x.astype(float)], rtol=1e-6)
