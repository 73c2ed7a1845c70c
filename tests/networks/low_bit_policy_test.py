"""Tests of networks.low_bit_policy."""

import numpy as np
import pytest

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.networks import low_bit_policy
from tfquarl.networks import numpy_policy
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit


def _architecture(head: str, hidden_sizes: tuple[int, ...], activation: str) -> architecture_lib.PolicyArchitecture:
    bounds = ((-1.0,) * 3, (2.0,) * 3) if head == "action" else (None, None)
    return architecture_lib.PolicyArchitecture(5, hidden_sizes, 3, head, activation, *bounds)


def _variables(architecture: architecture_lib.PolicyArchitecture) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        name: (value + 0.3 * generator.standard_normal(value.shape)).astype(np.float32)
        for name, value in initial_variables.initial_variables(architecture, 0).items()
    }


@pytest.mark.parametrize(("head", "activation"), [("q_values", "relu"), ("action", "relu"), ("action", "tanh")])
def test_8_bits_are_close_to_the_float_network_and_fewer_are_farther(head: str, activation: str):
    architecture = _architecture(head, (32, 32), activation)
    generator = np.random.default_rng(0)
    variables = _variables(architecture)
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
        architecture = _architecture("action", (64,), activation)
        variables = _variables(architecture)
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
