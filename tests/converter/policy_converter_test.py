"""Tests of converter.policy_converter with TFLiteConverter's process, and of that process."""

from collections.abc import Iterator
import subprocess
import sys

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_frames
from tfquarl.converter import reference_process
from tfquarl.converter import scaling_ops
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.networks import numpy_policy
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter

_GENERATOR = np.random.default_rng(0)
_OBSERVATIONS = _GENERATOR.standard_normal((64, 5), np.float32)
_TOLERANCES = {
    "float32": 1e-5,
    "float16": 0.01,
    "dynamic_wi8_afp32": 0.1,
    "static_wi8_ai8": 0.2,
    "static_wi8_ai16": 0.1,
}


@pytest.fixture(scope="module")
def reference() -> Iterator[reference_process.ReferenceProcess]:
    process = reference_process.ReferenceProcess()
    yield process
    process.close()


def _snapshot(architecture, version: int = 1, **kwargs) -> records.PolicySnapshot:
    variables = policies.variables(architecture, np.random.default_rng(version), **kwargs)
    return records.PolicySnapshot(version, 10 * version, variables)


@pytest.mark.parametrize("head", ["action", "q_values", "categorical"])
@pytest.mark.parametrize("name", recipe_lib.NAMES)
def test_converted_policy_acts_like_the_float_one(
    reference: reference_process.ReferenceProcess, name: str, head: str, caplog: pytest.LogCaptureFixture
):
    architecture = policies.architecture(head, (64, 48), high=2.0)
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.from_name(name), True, reference)
    for version in (1, 2):
        snapshot = _snapshot(architecture, version)
        model = converter.convert(snapshot, _OBSERVATIONS)
        expected = numpy_policy.forward(architecture, snapshot.variables, _OBSERVATIONS)["output"]
        got = interpreter.PolicyInterpreter(model, len(_OBSERVATIONS))(_OBSERVATIONS)
        assert np.abs(got - expected).max() < _TOLERANCES[name] * max(1, np.abs(expected).max() / 3)
        layout = flatbuffer.read_layout(model)
        assert (layout.tensors[layout.input].name, layout.output_name) == ("observation", architecture.head)
    assert "take TFLiteConverter's time" not in caplog.text


@pytest.mark.parametrize("recipe", [recipe_lib.static_wi8_ai8("int8"), recipe_lib.from_name("ptq_wi4_ai8")])
def test_categorical_policy_has_a_float_end(recipe: recipe_lib.Recipe):
    converter = policy_converter.PolicyConverter(policies.architecture("categorical"), recipe)
    with pytest.raises(errors.ConversionError, match="ends with a softmax in float32; use a recipe of 8 or 16 bits"):
        converter.prepare()


@pytest.mark.parametrize("high", [1.0, 2.0], ids=["unit bounds", "other bounds"])
def test_integer_ends(reference: reference_process.ReferenceProcess, high: float):
    architecture = policies.architecture(high=high)
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai8("int8"), True, reference)
    snapshot = _snapshot(architecture)
    model = converter.convert(snapshot, _OBSERVATIONS)
    layout = flatbuffer.read_layout(model)
    assert {tensor.dtype for tensor in layout.tensors} == {"int8", "int32"}
    expected = numpy_policy.forward(architecture, snapshot.variables, _OBSERVATIONS)["output"]
    got = interpreter.PolicyInterpreter(model, len(_OBSERVATIONS))(_OBSERVATIONS)
    assert np.abs(got - expected).mean() < 0.1


def test_conversion_is_deterministic(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture()
    models = set()
    for _ in range(2):
        converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai8(), True, reference)
        models.add(converter.convert(_snapshot(architecture), _OBSERVATIONS))
        converter.convert(_snapshot(architecture, 2), _OBSERVATIONS)
        models.add(converter.convert(_snapshot(architecture), _OBSERVATIONS))
    assert len(models) == 1


def test_what_the_template_cannot_do_goes_to_the_reference_and_warns_once(
    reference: reference_process.ReferenceProcess, caplog: pytest.LogCaptureFixture
):
    architecture = policies.architecture()
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai8(), True, reference)
    for version in (1, 2):
        snapshot = _snapshot(architecture, version)
        snapshot.variables["dense_0/kernel"][...] *= np.float32(1e-38)
        snapshot.variables["dense_0/bias"][...] = 0
        converter.convert(snapshot, _OBSERVATIONS)
    assert sum("take TFLiteConverter's time" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("name", [*recipe_lib.NAMES, "ptq_wi4_ai8"])
@pytest.mark.parametrize("hidden_sizes", [(4, 1, 4), (1, 65, 2, 7, 2), (1, 1, 1)], ids=str)
def test_narrow_layers_have_a_template(
    reference: reference_process.ReferenceProcess, name: str, hidden_sizes: tuple[int, ...]
):
    architecture = policies.architecture("q_values", hidden_sizes)
    policy_converter.PolicyConverter(architecture, recipe_lib.from_name(name), True, reference).prepare()


def test_layer_whose_range_vanishes_is_named(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture()
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai16(), True, reference)
    variables = policies.variables(architecture, np.random.default_rng(1))
    variables["dense_1/bias"][:] = -1000
    with pytest.raises(
        errors.RefusedModelError, match=r"recipe 'static_wi8_ai16': model: .*'dense_1', has scales of 3\.59e-43"
    ):
        converter.convert(records.PolicySnapshot(1, 1, variables), _OBSERVATIONS)


def test_layer_whose_bias_steps_vanish_goes_to_the_reference(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture()
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai16(), True, reference)
    variables = policies.variables(architecture, np.random.default_rng(1), "zero biases", scales_observations=False)
    variables["dense_0/kernel"] *= np.float32(1e-20)
    with pytest.raises(errors.RefusedModelError):
        converter.convert(records.PolicySnapshot(1, 1, variables), _OBSERVATIONS * np.float32(1e-20))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_refused_by_name(value: float):
    architecture = policies.architecture()
    snapshot = _snapshot(architecture)
    snapshot.variables["dense_1/kernel"][3, 4] = value
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.float32())
    with pytest.raises(
        errors.NumericalError,
        match=r"snapshot 1: variable 'dense_1/kernel'\[3, 4\] is .*; 1 of \d+ values are not finite",
    ):
        converter.convert(snapshot)


_GOOD = _snapshot(policies.architecture()).variables


@pytest.mark.parametrize(
    ("changes", "observations", "message"),
    [
        (
            {"dense_0/bias": np.zeros(15, np.float32)},
            _OBSERVATIONS,
            r"'dense_0/bias' is float32\[15\], .* float32\[16\]",
        ),
        ({"more": np.zeros(1, np.float32)}, _OBSERVATIONS, r"unknown: \['more'\]"),
        ({}, None, "needs observations for calibration"),
        ({}, _OBSERVATIONS[:0], "needs observations for calibration"),
        ({}, _OBSERVATIONS[:, :4], r"shape \(64, 4\), the network needs \[N, 5\]"),
    ],
    ids=["shape", "unknown", "no observations", "empty observations", "other observations"],
)
def test_what_does_not_fit_is_refused(changes: dict[str, np.ndarray], observations: np.ndarray | None, message: str):
    converter = policy_converter.PolicyConverter(policies.architecture(), recipe_lib.static_wi8_ai8())
    with pytest.raises(errors.ConversionError, match=message):
        converter.convert(records.PolicySnapshot(7, 7, {**_GOOD, **changes}), observations)


def test_observations_that_are_not_finite_are_refused():
    converter = policy_converter.PolicyConverter(policies.architecture(), recipe_lib.static_wi8_ai8())
    with pytest.raises(errors.NumericalError, match="calibration observations"):
        converter.convert(records.PolicySnapshot(7, 7, _GOOD), np.full((1, 5), np.nan, np.float32))


@pytest.mark.parametrize(("name", "value"), [(scaling_ops.OFFSET, 1.0), (scaling_ops.SCALE, 2.0)])
def test_scaling_of_a_converter_without_is_refused(name: str, value: float):
    architecture = policies.architecture()
    snapshot = _snapshot(architecture, scales_observations=False)
    snapshot.variables[name][3] = value
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.float32(), scale_observations=False)
    with pytest.raises(errors.ConversionError, match="set scale_observations"):
        converter.convert(snapshot)


def test_without_scaling_there_are_no_scaling_operators(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture()
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.static_wi8_ai8(), False, reference)
    model = converter.convert(_snapshot(architecture, scales_observations=False), _OBSERVATIONS)
    names = [operator.name for operator in flatbuffer.read_layout(model).operators]
    assert names == ["QUANTIZE", *["FULLY_CONNECTED"] * 3, "TANH", "DEQUANTIZE"]


def test_converter_needs_no_tensorflow():
    code = "import sys; from tfquarl.converter import conversion_worker; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)})


# What a station's process does, in a fresh one. It prints one line for each thing that must hold and doesn't.
_WITHOUT_TENSORFLOW = """
import os, pathlib, sys
import numpy as np
from tests.converter import policies
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import records
from tfquarl.quantization import recipe

architecture = policies.architecture()
converter = policy_converter.PolicyConverter(architecture, recipe.static_wi8_ai8(), True, reference_process.ReferenceProcess())
me = pathlib.Path(f"/proc/{os.getpid()}")
children = lambda: (me / "task" / str(os.getpid()) / "children").read_text().split()
converter.prepare()
child, = children()
if "tensorflow" not in pathlib.Path(f"/proc/{child}/maps").read_text():
    print("the child has no TensorFlow: this test looks for the wrong thing")
converter.release()
variables = policies.variables(architecture, np.random.default_rng(1))
model = converter.convert(records.PolicySnapshot(1, 1, variables), np.ones((4, 5), np.float32))
if children() or pathlib.Path(f"/proc/{child}").exists():
    print("a child is left")
if "tensorflow" in sys.modules or "tensorflow" in (me / "maps").read_text():
    print("TensorFlow is in the converter's process")
if len(model) < 1000:
    print("no model")
"""


def test_after_the_template_no_process_holds_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TENSORFLOW],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == ""


def test_released_process_is_started_again_where_it_is_needed(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture()
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.float32(), True, reference)
    converter.prepare()
    converter.release()
    other = policy_converter.PolicyConverter(architecture, recipe_lib.float32(), True, reference)
    snapshot = _snapshot(architecture)
    assert other.convert(snapshot) == converter.convert(snapshot)


def test_process_that_idled_out_is_started_again():
    process = reference_process.ReferenceProcess(idle_sec=0.0)
    architecture = policies.architecture(hidden_sizes=(4,))
    request = reference_frames.ConversionRequest(
        architecture, recipe_lib.float32(), policies.variables(architecture, np.random.default_rng(0)), None, True
    )
    first = process.convert(request)
    assert process._process is not None and process._process.wait(60) == 0  # by itself
    assert process.convert(request) == first
    process.close()


def test_error_of_the_process_is_a_conversion_error(reference: reference_process.ReferenceProcess):
    architecture = policies.architecture(hidden_sizes=(4,))
    request = reference_frames.ConversionRequest(architecture, recipe_lib.float32(), {}, None, True)
    with pytest.raises(errors.ConversionError, match="TFLiteConverter: KeyError"):
        reference.convert(request)
