"""Tests of networks.low_bit_policy."""

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.networks import low_bit_policy
from tfquarl.networks import numpy_policy
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit


@pytest.mark.parametrize(("head", "activation"), [("q_values", "relu"), ("action", "relu"), ("action", "tanh")])
def test_8_bits_are_close_to_the_float_network_and_fewer_are_farther(head: str, activation: str):
    architecture = policies.architecture(head, (32, 32), activation, 2.0)
    generator = np.random.default_rng(0)
    variables = policies.variables(architecture, generator)
    observations = generator.standard_normal((300, 5)).astype(np.float32)
    ranges = low_bit_policy.observed_ranges(architecture, variables, observations)
    expected = numpy_policy.forward(architecture, variables, observations)["output"]
    errors = []
    for bits in (8, 6, 4, 2):
        widths = bit_widths.BitWidths(bits, bits, bits, bits)
        got = low_bit_policy.forward(architecture, variables, ranges, widths, observations)
        errors.append(float(np.abs(got - expected).mean() / np.abs(expected).mean()))
    assert errors[0] < 0.05
    assert errors == sorted(errors)


def test_ranges_are_of_values_before_a_tanh_and_after_a_relu():
    generator = np.random.default_rng(0)
    for activation, lowest in (("tanh", -1.0), ("relu", 0.0)):
        architecture = policies.architecture("action", (64,), activation)
        variables = policies.variables(architecture, generator)
        observations = (9 * generator.standard_normal((300, 5))).astype(np.float32)
        low, high = low_bit_policy.observed_ranges(architecture, variables, observations)["dense_0"]
        assert high > 1
        assert (low < lowest) if activation == "tanh" else (low == 0)


@pytest.mark.parametrize("bits", range(2, 9))
def test_a_tanh_takes_few_values_within_its_bounds(bits: int):
    source = low_bit.activation_grid((-4.0, 4.0), 8)
    target = low_bit_policy.tanh_grid(bits)
    steps = low_bit_policy.tanh_steps(np.arange(source.lowest, source.highest + 1, dtype=np.float32), source, target)
    assert len(np.unique(steps)) <= 2**bits
    real = steps * target.scale
    assert real.min() == pytest.approx(-1, abs=0.01)
    assert real.max() == pytest.approx(1, abs=0.01)
