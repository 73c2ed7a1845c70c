"""Inspections of converted policies: planted faults are found where they were planted."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import json
import pathlib

import numpy as np
import pytest

from tfquarl.converter import policy_converter
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.export import float_graph
from tfquarl.export import float_variables
from tfquarl.export import histograms
from tfquarl.export import inspection
from tfquarl.export import inspection_text
from tfquarl.export import run_source
from tfquarl.export import weight_errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import interpreter

_D = 4
_SPEC = environment_spec.EnvironmentSpec(
    "lab:levers", (environment_spec.ObservationField("angles", (_D,), 0),), num_actions=3
)
_Q = architecture_lib.q_architecture(_SPEC, (16, 16))
_ACTION = architecture_lib.PolicyArchitecture(_D, (48, 48), 3, "action", "tanh", (-2.0,) * 3, (1.0,) * 3)
_CALIBRATION = np.random.default_rng(1).uniform(-1, 1, (64, _D)).astype(np.float32)
# Both ends of the range are among them.
_CALIBRATION[0], _CALIBRATION[1] = -1, 1

_Converters = Callable[
    [architecture_lib.PolicyArchitecture, Mapping[str, np.ndarray], str, str], run_source.ArchivedPolicy
]


def _variables(architecture: architecture_lib.PolicyArchitecture) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    variables = {}
    for name, shape in architecture.variable_shapes().items():
        value = generator.uniform(-1, 1, shape) / np.sqrt(shape[0])
        variables[name] = value.astype(np.float32)
    variables["observation_scaling/offset"][:] = 0
    variables["observation_scaling/scale"][:] = 1
    return variables


@pytest.fixture(scope="module", name="convert")
def _convert() -> _Converters:
    """Makes archived policies; a template is compiled once for all policies of a structure."""
    converters: dict[tuple, policy_converter.PolicyConverter] = {}

    def convert(
        architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], name: str, io: str
    ) -> run_source.ArchivedPolicy:
        manifest = {"environment": _SPEC.to_json(), "architecture": architecture.to_json()}
        artifacts = []
        for recipe in (recipe_lib.from_name(name, io), recipe_lib.float32()):
            key = (architecture, recipe)
            if key not in converters:
                converters[key] = policy_converter.PolicyConverter(architecture, recipe)
            model = converters[key].convert(records.PolicySnapshot(7, 70, variables), _CALIBRATION)
            artifacts.append(records.PolicyArtifact(7, 70, recipe.name, model, manifest))
        return run_source.open_policy(*artifacts)

    return convert


def _study(policy: run_source.ArchivedPolicy, observations: np.ndarray) -> inspection.LayerStudy:
    study = inspection.inspect_policy(policy, observations, "these").study
    assert study is not None
    return study


@pytest.mark.parametrize(
    ("architecture", "name", "io"),
    [
        (_Q, "static_wi8_ai8", "float32"),
        (_Q, "static_wi8_ai8", "int8"),
        (_Q, "float16", "float32"),
        (_ACTION, "static_wi8_ai16", "float32"),
        (_ACTION, "dynamic_wi8_afp32", "float32"),
    ],
    ids=["int8", "int8 with integer ends", "float16", "int16 with tanh", "dynamic with tanh"],
)
def test_the_float_graph_is_the_float_policy(
    convert: _Converters, architecture: architecture_lib.PolicyArchitecture, name: str, io: str
):
    variables = _variables(architecture)
    variables["observation_scaling/offset"][:] = [0.5, -0.25, 0, 0]
    variables["observation_scaling/scale"][:] = [1, 2, 0.5, 1]
    policy = convert(architecture, variables, name, io)
    found = inspection.inspect_policy(policy, _CALIBRATION)
    assert found.study is not None
    float_policy = {values.tensor.name: values.float_policy for values in found.study.values}
    expected = numpy_policy.forward(architecture, variables, _CALIBRATION)
    if architecture.activation == "relu":
        np.testing.assert_allclose(float_policy["dense_0"], expected["dense_0"], atol=1e-5)
        np.testing.assert_allclose(float_policy["dense_1"], expected["dense_1"], atol=1e-5)
    last = "q_values" if io == "int8" or name == "float16" else "head"
    np.testing.assert_allclose(float_policy[last], expected["head"], atol=1e-5)
    layers = {error.layer: error.sqnr_db for error in weight_errors.rank(found.weights)}
    assert set(layers) == set(architecture.layer_names)
    assert min(error.own_sqnr_db for error in found.study.errors) > 20  # nothing was planted
    assert min(layers.values()) > 30


@pytest.mark.parametrize("layer", [0, 1])
def test_a_planted_bad_layer_is_first(convert: _Converters, layer: int):
    """One huge weight leaves the others of its layer two or three steps; no other layer looks at what it makes."""
    variables = _variables(_Q)
    variables[f"dense_{layer}/kernel"][0, 5] = 20
    variables[f"{('dense_1', 'head')[layer]}/kernel"][5] = 0
    found = inspection.inspect_policy(convert(_Q, variables, "static_wi8_ai8", "float32"), _CALIBRATION)
    worst = weight_errors.rank(found.weights)[0]
    assert (worst.layer, worst.largest) == (f"dense_{layer}", 20)
    assert worst.zeroed_share > 0.1
    assert found.study is not None
    assert found.study.errors[0].name == f"dense_{layer}"
    assert found.study.errors[0].output_sqnr_db < found.study.errors[1].output_sqnr_db - 10


def test_calibration_observations_use_the_range_and_saturate_nothing(convert: _Converters):
    study = _study(convert(_Q, _variables(_Q), "static_wi8_ai8", "float32"), _CALIBRATION)
    for error in study.errors:
        assert error.saturation_share == 0
        assert error.range_used == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("io", recipe_lib.IO_TYPES)
def test_a_planted_observation_out_of_range_saturates(convert: _Converters, io: str):
    observations = _CALIBRATION / 2
    observations[3, 2] = 3
    study = _study(convert(_Q, _variables(_Q), "static_wi8_ai8", io), observations)
    (error,) = [error for error in study.errors if error.operation == ("QUANTIZE" if io == "float32" else "INPUT")]
    assert error.saturation_share == 1 / observations.size
    assert error.range_used == pytest.approx(0.75, abs=0.01)  # -0.5 to the end, of -1 to 1
    # The rest is half a step off at most: 1/255.
    assert error.own_sqnr_db < 10 * np.log10(np.square(observations).sum() / 4) + 0.1


def test_half_the_range_is_told(convert: _Converters):
    study = _study(convert(_Q, _variables(_Q), "static_wi8_ai8", "float32"), _CALIBRATION / 2)
    (error,) = [error for error in study.errors if error.operation == "QUANTIZE"]
    assert error.range_used == pytest.approx(0.5, abs=0.01)


def test_the_float_policy_loses_nothing(convert: _Converters):
    policy = convert(_Q, _variables(_Q), "static_wi8_ai8", "float32")
    itself = run_source.open_policy(policy.reference, policy.reference)
    study = _study(itself, _CALIBRATION)
    assert min(error.sqnr_db for error in study.errors) > 100
    assert study.output_figures["greedy_agreement"] == 1


def test_figures_of_the_output_are_those_of_the_parity_gate(convert: _Converters):
    policy = convert(_ACTION, _variables(_ACTION), "static_wi8_ai16", "float32")
    got, expected = (
        interpreter.PolicyInterpreter(artifact.model, 64)(_CALIBRATION)
        for artifact in (policy.artifact, policy.reference)
    )
    figures = _study(policy, _CALIBRATION).output_figures
    assert figures["action_error_max"] == pytest.approx(np.abs(got - expected).max())
    assert figures["action_error_max_share"] == pytest.approx(np.abs(got - expected).max() / 3)


def test_texts_files_and_plots(convert: _Converters, tmp_path: pathlib.Path):
    policy = convert(_Q, _variables(_Q), "static_wi8_ai8", "float32")
    found = inspection.inspect_policy(policy, _CALIBRATION, "64 observations of a lever")
    text = inspection_text.describe(found)
    assert text.startswith("policy 7 after 70 train steps, recipe static_wi8_ai8: ")
    assert text.endswith("\n")
    assert "Layers on 64 observations of a lever, worst first\n" in text
    (kernel,) = [line.split() for line in text.splitlines() if "dense_1/kernel  " in line]
    assert kernel[2:6] == ["16", "x", "16", "int8"]
    assert kernel[-2:] == ["256", "yes"]
    files.write_json(tmp_path / "a.json", found.to_json())
    value = json.loads((tmp_path / "a.json").read_text())
    assert value["observations"] == {"source": "64 observations of a lever", "count": 64}
    assert [layer["name"] for layer in value["layers"]] == [error.name for error in found.study.errors]  # type: ignore[union-attr]
    assert {tensor["name"]: tensor["num_bytes"] for tensor in value["tensors"]}["dense_0/bias"] == 16 * 4
    histograms.draw_weights(found.weights, tmp_path / "weights.png")
    histograms.draw_activations(found.study.values, tmp_path / "activations.png")  # type: ignore[union-attr]
    for name in ("weights.png", "activations.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(errors.StorageError, match="writing"):
        histograms.draw_weights(found.weights, tmp_path / "nowhere" / "weights.png")


def test_a_file_alone_tells_its_tensors(convert: _Converters):
    policy = convert(_Q, _variables(_Q), "static_wi8_ai8", "float32")
    found = inspection.inspect_file(policy.artifact)
    text = inspection_text.describe(found)
    assert "Operators\n" in text
    assert "Weights" not in text
    value = found.to_json()
    assert (value["weights"], value["layers"], value["observations"], value["output"]) == ([], [], None, None)


@pytest.mark.parametrize(
    "facts",
    [
        {"weights": 4},
        {"weights": 4, "activations": 8, "inputs": 8, "outputs": 8, "packed_bytes": "many"},
        "four bits",
    ],
    ids=["missing width", "bytes that are text", "no object"],
)
def test_widths_of_an_edited_manifest_are_refused(convert: _Converters, facts: object):
    artifact = convert(_Q, _variables(_Q), "static_wi8_ai8", "float32").artifact
    edited = dataclasses.replace(artifact, manifest={**artifact.manifest, "low_bit": facts})
    with pytest.raises(errors.ArtifactError, match=r"does not describe its widths, 'low_bit' .*; was it edited\?"):
        inspection_text.describe(inspection.inspect_file(edited))


def test_another_policys_float_weights_are_refused(convert: _Converters):
    policy = convert(_Q, _variables(_Q), "static_wi8_ai8", "float32")
    other = convert(_ACTION, _variables(_ACTION), "dynamic_wi8_afp32", "float32")
    with pytest.raises(errors.ArtifactError, match="is it the float32 model of this policy"):
        inspection.inspect_policy(run_source.open_policy(policy.artifact, other.reference), _CALIBRATION)


def test_a_graph_that_is_no_chain_is_refused(convert: _Converters):
    policy = convert(_Q, _variables(_Q), "static_wi8_ai8", "float32")
    layout = interpreter.check_structure(policy.artifact.model)
    cut = dataclasses.replace(layout, operators=layout.operators[:-1])
    variables = float_variables.read_variables(_Q, policy.reference.model)
    with pytest.raises(errors.ArtifactError, match="is not what the last operator gives"):
        float_graph.FloatGraph(policy.artifact.model, cut, variables)
