"""Tests of converter.parity_gate; what stands for converted models are float ones that differ by a known amount."""

from collections.abc import Iterator
import dataclasses

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import parity_gate
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.networks import q_centering
from tfquarl.quantization import recipe as recipe_lib

_OBSERVATIONS = np.random.default_rng(0).standard_normal((64, 5), np.float32)
_CONFIG = parity_gate.ParityConfig()


@pytest.fixture(scope="module")
def reference() -> Iterator[reference_process.ReferenceProcess]:
    process = reference_process.ReferenceProcess()
    yield process
    process.close()


def _verdict(
    reference: reference_process.ReferenceProcess,
    head: str,
    head_bias: tuple[float, float, float],
    config: parity_gate.ParityConfig = _CONFIG,
) -> parity_gate.ParityReport:
    """The verdict on a model whose head's bias is off by `head_bias`."""
    architecture = policies.architecture(head)
    variables = policies.variables(architecture, np.random.default_rng(1))
    variables["head/kernel"] *= np.float32(1e-3)  # outputs are the head's bias, nearly
    variables["head/bias"] = np.float32([0.25, 0, -0.25])
    changed = dict(variables, **{"head/bias": variables["head/bias"] + np.float32(head_bias)})
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.float32(), True, reference)
    model = converter.convert(records.PolicySnapshot(1, 1, changed))
    return parity_gate.ParityGate(config).check(architecture, variables, model, _OBSERVATIONS)


def test_int8_copy_of_a_categorical_policy_passes(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture("categorical")
    random = policies.variables(architecture, np.random.default_rng(1), scales_observations=False)
    variables = q_centering.center(architecture, random)
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai8(), True, reference)
    calibration = np.random.default_rng(2).standard_normal((256, 5), np.float32)
    model = converter.convert(records.PolicySnapshot(1, 1, variables), calibration)
    report = parity_gate.ParityGate(_CONFIG).check(architecture, variables, model, _OBSERVATIONS)
    assert report.passed
    assert 0 < report.figures["q_error_mean_share"] < 0.05 and report.figures["greedy_agreement"] > 0.95


@pytest.mark.parametrize("head", ["action", "q_values"])
def test_same_policy_passes(reference: reference_process.ReferenceProcess, head: str):
    report = _verdict(reference, head, (0, 0, 0))
    assert report.passed
    assert (report.failures, report.num_observations) == ((), 64)
    assert all(value < 1e-3 for name, value in report.figures.items() if "error" in name)
    assert report.to_json()["passed"] is True
    assert report.to_json()["figures"] == dict(report.figures)


@pytest.mark.parametrize(
    ("head", "head_bias", "config", "message"),
    [
        ("action", (0, 0.7, 0), _CONFIG, "action_error_max_share is 0.30"),
        ("action", (0.1, 0.1, 0.1), _CONFIG, "action_error_mean_share is 0.0"),
        ("q_values", (0.4, 0.4, 0.4), _CONFIG, "q_error_mean_share is 0.79"),
        ("q_values", (-0.1, 0.2, 0), _CONFIG, "greedy_agreement is 0, at least 0.8"),
        ("action", (0, 0, 0), dataclasses.replace(_CONFIG, mean_action_error_share=-1.0), "action_error_mean_share"),
    ],
    ids=["one action far off", "all actions off", "values off", "another action preferred", "threshold of the config"],
)
def test_each_threshold_can_fail(
    reference: reference_process.ReferenceProcess,
    head: str,
    head_bias: tuple[float, float, float],
    config: parity_gate.ParityConfig,
    message: str,
):
    report = _verdict(reference, head, head_bias, config)
    assert not report.passed
    assert any(failure.startswith(message) for failure in report.failures), report.failures


def test_disagreement_between_equal_actions_does_not_matter(reference: reference_process.ReferenceProcess):
    config = dataclasses.replace(_CONFIG, mean_q_error_share=1.0, max_regret_share=0.6)
    report = _verdict(reference, "q_values", (-0.1, 0.2, 0), config)
    assert report.figures["greedy_agreement"] == 0
    assert report.passed


def test_unknown_consequence_is_refused():
    with pytest.raises(errors.ConfigError, match="needs one of keep, publish_float32, stop"):
        parity_gate.ParityConfig(on_failure="ignore")


def test_threshold_that_is_no_number_is_refused():
    with pytest.raises(errors.ConfigError, match="max_action_error_share is nan"):
        parity_gate.ParityConfig(max_action_error_share=float("nan"))


def test_outputs_that_overflow_are_no_measure(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture("q_values")
    variables = policies.variables(architecture, np.random.default_rng(1), scales_observations=False)
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.float32(), True, reference)
    model = converter.convert(records.PolicySnapshot(1, 1, variables))
    observations = _OBSERVATIONS.copy()
    observations[0] = 3e38
    gate = parity_gate.ParityGate(_CONFIG)
    with pytest.raises(errors.NumericalError, match="own outputs are not finite"):
        gate.check(architecture, variables, model, observations)
    report = gate.check(architecture, variables, model, observations, expected=np.zeros((64, 3), np.float32))
    assert (report.failures, report.runs) == (("outputs are not finite",), False)


def test_model_of_other_bytes_is_refused():
    architecture = policies.architecture()
    variables = policies.variables(architecture, np.random.default_rng(1))
    with pytest.raises(errors.ArtifactError):
        parity_gate.ParityGate(_CONFIG).check(architecture, variables, b"no model", _OBSERVATIONS)
