"""Tests of quantization.low_bit: values computable by hand, and properties for all widths."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit

_BITS = st.integers(2, 8)
_REAL = st.floats(-1e4, 1e4, width=32)


@pytest.mark.parametrize(
    ("limits", "bits", "scale", "zero", "zero_point"),
    [
        ((0.0, 3.0), 2, 1.0, 0, 124),
        ((-1.0, 2.0), 2, 1.0, 1, 125),
        ((-128.0, 127.0), 8, 1.0, 128, 0),
        ((1.0, 15.0), 4, 1.0, 0, 112),
        ((-7.0, -1.0), 3, 1.0, 7, 127),
    ],
    ids=["from zero", "both signs", "int8", "above zero", "below zero"],
)
def test_grids_by_hand(limits: low_bit.Range, bits: int, scale: float, zero: int, zero_point: int):
    grid = low_bit.activation_grid(limits, bits)
    assert (float(grid.scale), grid.zero, grid.zero_point) == (scale, zero, zero_point)


@hypothesis.given(_REAL, _REAL, _BITS)
def test_a_grid_has_2_to_the_bits_numbers_in_an_int8_tensor_and_zero_among_them(one: float, other: float, bits: int):
    grid = low_bit.activation_grid((min(one, other), max(one, other)), bits)
    assert grid.highest - grid.lowest + 1 == 2**bits
    assert grid.lowest <= 0 <= grid.highest
    assert grid.highest + grid.zero_point == 127
    assert grid.lowest + grid.zero_point >= -128


@hypothesis.given(st.lists(_REAL, min_size=1, max_size=40), _BITS)
def test_values_within_the_range_are_off_by_one_step_at_most(values: list[float], bits: int):
    array = np.asarray(values, np.float32)
    grid = low_bit.activation_grid((float(array.min()), float(array.max())), bits)
    real = grid.round(array / grid.scale) * grid.scale
    assert np.abs(real - array).max() <= grid.scale * (1 + 1e-5)
    assert len(np.unique(real)) <= 2**bits


def test_sums_of_large_steps_widen_the_grid():
    grid = low_bit.activation_grid((0.0, 255.0), 8, np.float32(1000))
    assert float(grid.scale) == 1000 / 128


@pytest.mark.parametrize(("bits", "limit"), [(2, 1), (3, 3), (4, 7), (8, 127)])
def test_weight_limits(bits: int, limit: int):
    assert low_bit.weight_limit(bits) == limit


def test_weights_by_hand():
    kernel, bias = np.asarray([[3.0, 0.5], [-1.4, 0.24]], np.float32), np.zeros(2, np.float32)
    one = np.float32(1)
    per_layer = low_bit.weight_scales(kernel, bias, one, bit_widths.BitWidths(3, 8))
    np.testing.assert_array_equal(per_layer, [1, 1])
    np.testing.assert_array_equal(low_bit.quantize_weights(kernel, per_layer, 3), [[3, 0], [-1, 0]])
    per_unit = low_bit.weight_scales(kernel, bias, one, bit_widths.BitWidths(3, 8, per_channel=True))
    np.testing.assert_array_equal(low_bit.quantize_weights(kernel, per_unit, 3), [[3, 3], [-1, 1]])


def test_a_bias_beyond_the_accumulator_makes_the_weights_coarser():
    bias = np.asarray([1e9, 0], np.float32)
    scales = low_bit.weight_scales(np.ones((1, 2), np.float32), bias, np.float32(1), bit_widths.BitWidths(8, 8))
    assert np.abs(low_bit.quantize_bias(bias, scales, np.float32(1))).max() <= 1 << 22


@hypothesis.given(st.integers(0, 2**32 - 1), _BITS, st.booleans())
def test_weights_are_within_their_limit_and_half_a_step(seed: int, bits: int, per_channel: bool):
    kernel = (np.random.default_rng(seed).standard_normal((7, 5)) * 10).astype(np.float32)
    widths = bit_widths.BitWidths(bits, 8, per_channel=per_channel)
    scales = low_bit.weight_scales(kernel, np.zeros(5, np.float32), np.float32(0.1), widths)
    integers = low_bit.quantize_weights(kernel, scales, bits)
    assert np.abs(integers).max() == low_bit.weight_limit(bits)
    assert (np.abs(integers * scales - kernel) <= 0.5001 * scales).all()


def test_packed_size_by_hand():
    size = low_bit.packed_size({"dense_0/kernel": (3, 5), "dense_0/bias": (5,), "observation_scaling/scale": (3,)}, 3)
    assert (size.num_weights, size.weight_bits, size.packed_bytes, size.stored_bytes) == (15, 3, 6 + 20, 15 + 20)
