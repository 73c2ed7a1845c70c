"""Tests of quantization.affine."""

import math

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.quantization import affine


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, 1),
        (-0.5, -1),
        (1.5, 2),
        (2.5, 3),
        (-2.5, -3),
        (0.49999997, 0),
        (1.4999999, 1),
        (8388609, 8388609),
        (-0.2, 0),
    ],
)
def test_halves_round_away_from_zero(value: float, expected: int):
    assert affine.round_away(np.float32([value]))[0] == expected


@hypothesis.given(strategies.floats(-(2.0**40), 2.0**40, width=32))
def test_rounding_is_exact(value: float):
    expected = math.copysign(math.floor(abs(value)), value)
    if abs(value) - math.floor(abs(value)) >= 0.5:
        expected += math.copysign(1, value)
    assert affine.round_away(np.float32([value]))[0] == expected
    assert affine.round_away(np.float64([value]))[0] == expected


@pytest.mark.parametrize(
    ("minimum", "maximum", "scale", "zero_point"),
    [
        (-1.0, 1.0, 2 / 255, -1),
        (0.0, 2.55, 0.01, -128),
        (-2.55, 0.0, 0.01, 127),
        (1.0, 2.55, 0.01, -128),
        (-2.55, -1.0, 0.01, 127),
        (0.0, 0.0, 2e-6 / 255, 0),
        (0.0, 5e-7, 2.5e-6 / 255, -26),
    ],
    ids=["symmetric", "relu", "negative", "widened down to 0", "widened up to 0", "empty", "narrow"],
)
def test_int8_activation(minimum: float, maximum: float, scale: float, zero_point: int):
    found = affine.int8_activation(minimum, maximum)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert found.zero_point == zero_point


@hypothesis.given(strategies.floats(-1e6, 1e6), strategies.floats(-1e6, 1e6))
def test_int8_activation_holds_its_range(first: float, second: float):
    low, high = min(first, second, 0.0), max(first, second, 0.0)
    found = affine.int8_activation(low, high)
    scale = float(found.scale)
    assert -128 <= found.zero_point <= 127
    assert scale * (-128 - found.zero_point) <= low + 0.51 * scale
    assert scale * (127 - found.zero_point) >= high - 0.51 * scale


def test_int16_activation_is_symmetric():
    assert affine.int16_activation(-3.2767, 1.0) == affine.Quantization(np.float32(3.2767) / np.float32(32767), 0)


def test_kernel_scale_is_never_zero():
    assert affine.kernel_scale(12.7) == pytest.approx(0.1)
    assert affine.kernel_scale(0.0) == pytest.approx(5e-7 / 127)
    assert affine.dynamic_kernel_scale(12.7) == pytest.approx(0.1)
    assert affine.dynamic_kernel_scale(0.0) == pytest.approx(5e-7 / 127)


def test_bias_has_the_scale_of_the_products():
    scales = affine.layer_scales(np.float32(0.5), 12.7, 3.0)
    assert scales.kernel == pytest.approx(0.1)
    assert scales.bias == pytest.approx(0.05)


def test_kernel_scale_grows_where_the_bias_would_not_fit():
    scales = affine.layer_scales(np.float32(0.5), 0.0, 4.0)
    assert scales.bias == pytest.approx(2.0**-28)
    assert scales.kernel == pytest.approx(2.0**-27)


@pytest.mark.parametrize(
    ("kernel", "scale", "expected"),
    [
        ([[1.27, -1.27], [0.015, 0.0]], 0.01, [[127, 2], [-127, 0]]),
        ([[0.0, 0.0]], 4e-9, [[0], [0]]),
        ([[1.27, -0.4]], 1.0, [[1], [0]]),
    ],
    ids=["own scale", "zeros", "scale grown for the bias"],
)
def test_quantize_kernel_transposes(kernel: list[list[float]], scale: float, expected: list[list[int]]):
    values = np.float32(kernel)
    out = np.empty(values.T.shape, np.int8)
    affine.quantize_kernel(values, np.abs(values).max(), scale, out)
    np.testing.assert_array_equal(out, expected)


def test_kernel_of_several_blocks_is_quantized_like_its_parts():
    values = np.random.default_rng(0).standard_normal((300, 257), np.float32)
    out = np.empty((257, 300), np.int8)
    largest = np.abs(values).max()
    affine.quantize_kernel(values, largest, float(affine.kernel_scale(float(largest))), out)
    np.testing.assert_array_equal(out, affine.round_away(values * (np.float32(127) / largest)).T)


def test_denormal_weights_are_left_to_the_reference():
    values = np.float32([[1e-38]])
    with pytest.raises(OverflowError):
        affine.quantize_kernel(values, values.max(), 4e-9, np.empty((1, 1), np.int8))


def test_dynamic_kernel_rounds_in_double():
    out = np.empty((2, 1), np.int8)
    affine.quantize_dynamic_kernel(np.float32([[1.0, -0.5]]), 1 / 127, out)
    np.testing.assert_array_equal(out, [[127], [-64]])


@pytest.mark.parametrize(
    ("bias", "dtype", "expected"),
    [([0.5, -0.25], "int32", [5, -3]), ([1e12], "int32", [2147483647]), ([1e12], "int64", [9999999827968])],
    ids=["halves away from zero", "int32 saturates", "int64 does not"],
)
def test_quantize_bias(bias: list[float], dtype: str, expected: list[int]):
    found = affine.quantize_bias(np.float32(bias), 0.1, dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_int16_bias_fits_only_where_the_scale_surely_stays():
    assert affine.int16_bias_fits(1.0, 1.0, 1.0)
    assert not affine.int16_bias_fits(1.0, 1e-9, 1.0)
    assert not affine.int16_bias_fits(1.0, 0.0, 0.0)
