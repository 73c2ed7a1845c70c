"""The exported model computes what the quantized network computes: every width, every head, on the runtime of the collectors."""

from collections.abc import Mapping
import functools

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import low_bit_template
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import low_bit_policy
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter

_NETWORKS = {
    "q_values": (policies.architecture("q_values", (32, 48)), True),
    "q_values of tanh": (policies.architecture("q_values", (32,), "tanh"), True),
    "action": (policies.architecture("action", (32, 48), high=2.0), True),
    "action of tanh": (policies.architecture("action", (32, 48), "tanh"), True),
    "no observation scaling": (policies.architecture("action", (32,)), False),
}
_PROCESS = reference_process.ReferenceProcess()


@functools.cache
def _structure(network: str) -> bytes:
    """A static int8 model of the network by the reference path."""
    architecture, scales = _NETWORKS[network]
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai8(), scales, _PROCESS)
    generator = np.random.default_rng(0)
    variables = policies.variables(architecture, generator, scales_observations=scales)
    return converter.convert(
        records.PolicySnapshot(1, 0, variables), generator.standard_normal((16, 5)).astype(np.float32)
    )


def _output_step(
    architecture: architecture_lib.PolicyArchitecture,
    variables: Mapping[str, np.ndarray],
    ranges: Mapping[str, low_bit.Range],
    widths: bit_widths.BitWidths,
) -> np.ndarray:
    scale = low_bit_policy.layers(architecture, variables, ranges, widths)[-1].last_grid.scale
    half_range = architecture.action_scaling()[1] if architecture.head == "action" else np.float32(1)
    return scale * half_range


def _widths_of(bits: int) -> dict[str, bit_widths.BitWidths]:
    return {
        "all": bit_widths.BitWidths(bits, bits, bits, bits),
        "weights": bit_widths.BitWidths(bits, 8, per_channel=True),
        "activations": bit_widths.BitWidths(8, bits),
        "hidden": bit_widths.BitWidths(bits, bits, per_channel=True),
    }


@pytest.mark.parametrize("part", _widths_of(8))
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("network", _NETWORKS)
def test_the_model_is_within_one_output_step_of_the_quantized_network(network: str, bits: int, part: str):
    architecture, scales = _NETWORKS[network]
    widths = _widths_of(bits)[part]
    template = low_bit_template.LowBitTemplate(_structure(network), architecture, widths)
    generator = np.random.default_rng(bits)
    num_same = num_all = 0
    for kind in policies.KINDS:
        variables = policies.variables(architecture, generator, kind, 0.5, scales)
        seen = (2 * generator.standard_normal((100, 5))).astype(np.float32)
        ranges = low_bit_policy.observed_ranges(architecture, variables, seen)
        model = template.write(variables, None, ranges)
        observations = (3 * generator.standard_normal((300, 5))).astype(np.float32)  # some saturate
        got = interpreter.PolicyInterpreter(model, len(observations))(observations)
        expected = low_bit_policy.forward(architecture, variables, ranges, widths, observations)
        steps = np.abs(got - expected) / _output_step(architecture, variables, ranges, widths)
        assert steps.max() <= 1.001, kind
        num_same += np.count_nonzero(steps < 0.001)
        num_all += steps.size
    assert num_same > 0.999 * num_all


@pytest.mark.parametrize("bits", range(2, 9))
def test_stored_weights_have_the_true_width(bits: int):
    architecture, _ = _NETWORKS["q_values"]
    template = low_bit_template.LowBitTemplate(_structure("q_values"), architecture, bit_widths.BitWidths(bits, 8))
    variables = policies.variables(architecture, np.random.default_rng(1))
    observations = np.random.default_rng(2).standard_normal((50, 5)).astype(np.float32)
    model = template.write(variables, observations, {})
    kernels = [t.values(model) for t in flatbuffer.read_layout(model).tensors if t.name.endswith("/kernel")]
    assert [len(np.unique(kernel)) <= 2**bits - 1 for kernel in kernels] == [True] * 3
    assert max(int(np.abs(kernel).max()) for kernel in kernels) == low_bit.weight_limit(bits)


def test_ranges_of_the_snapshot_go_before_observations_and_need_none():
    architecture, _ = _NETWORKS["action"]
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.from_name("qat_wi4_ai4"), True, _PROCESS)
    variables = policies.variables(architecture, np.random.default_rng(1))
    observations = np.random.default_rng(2).standard_normal((50, 5)).astype(np.float32)
    ranges = low_bit_policy.observed_ranges(architecture, variables, observations)
    calibrated = converter.convert(records.PolicySnapshot(1, 0, variables), observations)
    assert converter.convert(records.PolicySnapshot(1, 0, variables, ranges=ranges)) == calibrated
    assert converter.convert(records.PolicySnapshot(1, 0, variables, ranges=ranges), 9 * observations) == calibrated
    assert converter.convert(records.PolicySnapshot(1, 0, variables), 9 * observations) != calibrated
    with pytest.raises(errors.ConversionError, match="needs observations for calibration"):
        converter.convert(records.PolicySnapshot(1, 0, variables))


def test_ranges_that_are_not_finite_are_refused_by_name():
    architecture, _ = _NETWORKS["action"]
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.from_name("qat_wi4_ai4"), True, _PROCESS)
    variables = policies.variables(architecture, np.random.default_rng(1))
    ranges = dict.fromkeys(low_bit_policy.range_names(architecture), (0.0, 1.0)) | {"dense_1": (0.0, float("inf"))}
    with pytest.raises(errors.NumericalError, match="snapshot 7: the range of 'dense_1'"):
        converter.convert(records.PolicySnapshot(7, 0, variables, ranges=ranges))
