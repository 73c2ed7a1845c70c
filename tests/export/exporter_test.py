"""Whole bundles of small policies: real TFLite, TensorFlow Lite Micro and compilers."""

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.export import tiny_models
from tfquarl.core import errors
from tfquarl.export import candidate
from tfquarl.export import description
from tfquarl.export import edge_model
from tfquarl.export import exporter
from tfquarl.export import model_card
from tfquarl.export import verification
from tfquarl.networks import architecture
from tfquarl.networks import initial_variables
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import integer_core
from tfquarl.runtime import model_runner
from tfquarl.runtime import trial
from tfquarl.testing import tiny_policies

_RUNTIMES = [
    trial.Runtime("ai-edge-litert", "xnnpack"),
    trial.Runtime("ai-edge-litert", "builtin"),
    trial.Runtime("tflite-micro", "reference"),
]
_FILES = {
    "MODEL_CARD.md",
    "golden_vectors.h",
    "golden_vectors.npz",
    "main.cc",
    "parity.json",
    "policy.json",
    "policy.tflite",
    "policy_model_data.cc",
    "policy_model_data.h",
    "policy_op_resolver.h",
    "run_policy.py",
}


@pytest.fixture(scope="module", name="arm_models")
def _arm_models() -> Mapping[str, bytes]:
    arm = tiny_policies.arm_policy()
    return {
        name: tiny_models.convert(arm, name)
        for name in ("float32", "dynamic_wi8_afp32", "static_wi8_ai8", "static_wi8_ai16")
    }


def _candidate(
    models: Mapping[str, bytes], recipe: str = "static_wi8_ai8", io: str = "int8"
) -> candidate.PolicyCandidate:
    arm = tiny_policies.arm_policy()
    chosen = recipe_lib.from_name(recipe, io)
    missing = {"float16": "not asked for"}
    return candidate.PolicyCandidate(
        "the arm",
        arm.spec,
        "action",
        chosen,
        models,
        missing,
        arm.observations[::4],
        {"source": "a test", "version": 7},
    )


def _config(path: pathlib.Path, **changes) -> exporter.ExportConfig:
    return exporter.ExportConfig(path, latency_rounds=1, **changes)


@pytest.fixture(scope="module", name="bundle")
def _bundle(arm_models: Mapping[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("bundles") / "arm"
    rows = [{"policy": "exported", "mean": 3.0, "low": 2.0, "high": 4.0, "episodes": 5}]
    skipped = [{"runtime": "arm64", "version": "", "status": "skipped", "reason": "no network"}]
    exporter.export(_candidate(arm_models), _config(path), _RUNTIMES, skipped, lambda model: rows)
    return path


def test_all_files_are_there_with_their_digests(bundle: pathlib.Path):
    assert {entry.name for entry in bundle.iterdir()} == _FILES
    digests = json.loads((bundle / "policy.json").read_text())["sha256"]
    assert set(digests) == _FILES - {"policy.json"}


def test_policy_json_is_enough_to_run_the_model_by_hand(bundle: pathlib.Path):
    facts = json.loads((bundle / "policy.json").read_text())
    arm = tiny_policies.arm_policy()
    encoding, decoding = facts["input"]["encoding"], facts["output"]["decoding"]
    steps = np.rint((arm.observations - encoding["offset"]) * encoding["multiplier"])
    inputs = np.clip(steps + facts["input"]["zero_point"], -128, 127)
    outputs = model_runner.ModelRunner((bundle / "policy.tflite").read_bytes()).run(inputs.astype(np.int8))
    actions = outputs * np.asarray(decoding["multiplier"]) + decoding["addend"]
    expected = model_runner.ModelRunner(tiny_models.convert(arm, "float32")).run(arm.observations)
    assert np.abs(actions - expected).mean() < 0.05  # of ranges of 4
    assert facts["input"]["dtype"] == facts["output"]["dtype"] == "int8"
    assert facts["output"]["scale"] == 1 / 128
    assert [element["name"] for element in facts["observation"]["elements"]] == ["joints[0]", "joints[1]", "grip"]
    assert facts["action"] == {"kind": "continuous", "size": 2, "low": [-2, -1], "high": [2, 3]}
    assert facts["arena_bytes"] > 0
    scaling = facts["observation"]["scaling"]
    assert (scaling["offset"], scaling["scale"]) == ([0.5, -1, 10], pytest.approx([1, 2, 0.1]))
    assert "input.encoding does it" in scaling["rule"]


def test_a_model_with_float_ends_tells_what_is_inside(arm_models: Mapping[str, bytes]):
    policy = _candidate(arm_models, io="float32")
    model = edge_model.make_edge_model(arm_models["static_wi8_ai8"], "float32", "action", {})
    facts = description.describe(policy, model, [], None, {})
    assert facts["input"]["scale"] is None and facts["input"]["inside"]["dtype"] == "int8"
    assert facts["output"]["inside"]["scale"] == 1 / 128
    assert "the model does it" in facts["observation"]["scaling"]["rule"]
    floats = edge_model.make_edge_model(arm_models["float32"], "float32", "action", {})
    assert description.describe(policy, floats, [], None, {})["input"]["inside"] is None


def test_the_model_names_its_tensors_and_itself(bundle: pathlib.Path):
    model = (bundle / "policy.tflite").read_bytes()
    metadata = integer_core.PolicyGraph(model).metadata(edge_model.METADATA_NAME)
    assert metadata is not None
    assert json.loads(metadata)["recipe"] == "static_wi8_ai8"
    assert json.loads(metadata)["version"] == 7


def test_every_runtime_is_in_parity_json(bundle: pathlib.Path):
    parity = json.loads((bundle / "parity.json").read_text())
    assert [row["status"] for row in parity["runtimes"]] == ["passed", "passed", "passed", "skipped"]
    assert parity["tolerance"]["layer_steps"] == 3
    assert 2 <= parity["tolerance"]["smallest_steps"] < parity["tolerance"]["largest_steps"] < 64
    assert parity["output_step"] == [2 / 128, 2 / 128]
    assert {row["recipe"] for row in parity["latency"]} == {
        "float32",
        "dynamic_wi8_afp32",
        "static_wi8_ai8",
        "static_wi8_ai16",
        "static_wi8_ai8, int8 input and output",
    }
    sizes = {row["recipe"]: row["model_bytes"] for row in parity["latency"]}
    assert sizes["static_wi8_ai8, int8 input and output"] == (bundle / "policy.tflite").stat().st_size


def test_the_card_tells_returns_recipes_and_what_is_missing(bundle: pathlib.Path):
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "| exported | 3.0 | 2.0 to 4.0 | 5 |" in card
    assert "| static_wi8_ai8, int8 input and output (exported) |" in card
    assert "| mean action error, of the range |" in card
    assert "`float16` is missing: not asked for" in card
    assert "skipped: no network" in card
    named = {name for line in model_card.FILES for name in line.split(", ")}
    assert named == _FILES - {"MODEL_CARD.md"}


def test_run_policy_passes_its_golden_vectors_with_the_bundle_alone(bundle: pathlib.Path, tmp_path: pathlib.Path):
    done = subprocess.run(
        [sys.executable, "-P", str(bundle / "run_policy.py")], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "golden vectors: at most 0 output steps off where" in done.stdout
    assert "passed" in done.stdout


@pytest.mark.parametrize(
    "start",
    ["os.close(2)", "os.close(2); sys.stderr = None", "sys.stderr.close()"],
    ids=["closed", "absent, as of a service", "closed by Python"],
)
def test_run_policy_runs_where_stderr_is_closed(bundle: pathlib.Path, tmp_path: pathlib.Path, start: str):
    program = (
        f"import os, sys; {start}; sys.path.insert(0, {str(bundle)!r}); import run_policy; sys.exit(run_policy.main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0 and "passed" in done.stdout


def test_run_policy_refuses_what_is_no_observation(bundle: pathlib.Path, tmp_path: pathlib.Path):
    program = "import run_policy; p = run_policy.Policy(); print(p([0.5, -1, 10])); "
    for observation, complaint in (
        ("[0.5, -1]", "has shape (2,), needs [3]"),
        ("[0.5, -1, float('nan')]", "not finite"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{program} p({observation})"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(bundle), *sys.path])},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
        )
        assert done.stdout.startswith("[") and complaint in done.stderr


def test_run_policy_refuses_the_description_of_another_format(bundle: pathlib.Path, tmp_path: pathlib.Path):
    facts = json.loads((bundle / "policy.json").read_text())
    (tmp_path / "run_policy.py").write_bytes((bundle / "run_policy.py").read_bytes())
    (tmp_path / "policy.json").write_text(json.dumps({**facts, "format": "tfquarl-policy-bundle/1"}))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run_policy.py")], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    complaint = f"policy.json has format tfquarl-policy-bundle/1, needs {facts['format']}: use the run_policy.py of its own bundle"
    assert done.returncode == 1 and complaint in done.stderr


_BREAKING = {
    "always 0": "lambda y: 0 * y",
    "always the same": "lambda y: y[0] * 0 + np.median(golden['values'], axis=0)",
    "outputs in another order": "lambda y: y[::-1]",
}


@pytest.mark.parametrize("broken", _BREAKING)
def test_run_policy_fails_with_a_broken_runtime(bundle: pathlib.Path, tmp_path: pathlib.Path, broken: str):
    program = f"""
import sys
import numpy as np
sys.path.insert(0, {str(bundle)!r})
import run_policy
golden = np.load({str(bundle / "golden_vectors.npz")!r})
values, broken = run_policy.Policy.values, {_BREAKING[broken]}
run_policy.Policy.values = lambda self, observation: broken(values(self, observation))
sys.exit(run_policy.main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 1, done.stderr
    assert "FAILED" in done.stdout


def test_a_model_that_micro_refuses_is_exported_and_says_so(arm_models: Mapping[str, bytes], tmp_path: pathlib.Path):
    path = tmp_path / "arm"
    wide = dict(arm_models, dynamic_wi8_afp32=_wide_dynamic_model())
    policy = _candidate(wide, "dynamic_wi8_afp32", "float32")
    exporter.export(policy, _config(path, limits=verification.VerificationConfig(max_error_share=1e9)), _RUNTIMES)
    assert (path / "policy_op_resolver.h").read_text().startswith("#error")
    assert json.loads((path / "policy.json").read_text())["arena_bytes"] is None
    parity = json.loads((path / "parity.json").read_text())
    assert parity["runtimes"][2]["status"] == "refused"
    assert "filter type: INT8 not supported" in parity["runtimes"][2]["reason"]
    sizes = {row["recipe"]: row["model_bytes"] for row in parity["latency"]}
    assert sizes["dynamic_wi8_afp32"] == (path / "policy.tflite").stat().st_size > len(wide["dynamic_wi8_afp32"])
    assert sizes["float32"] == len(wide["float32"])


def _wide_dynamic_model() -> bytes:
    """The converter leaves kernels of less than 1024 elements in floats, which TensorFlow Lite Micro would run."""
    arm = tiny_policies.arm_policy()
    wide = architecture.action_architecture(arm.spec, (64, 64))
    variables = initial_variables.initial_variables(wide, 0)
    policy = dataclasses.replace(arm, architecture=wide, variables=variables)
    return tiny_models.convert(policy, "dynamic_wi8_afp32")


def test_nothing_is_written_where_verification_fails(arm_models: Mapping[str, bytes], tmp_path: pathlib.Path):
    strict = verification.VerificationConfig(max_error_share=1e-9)
    with pytest.raises(errors.ParityError, match="is off the float one"):
        exporter.export(_candidate(arm_models), _config(tmp_path / "arm", limits=strict), _RUNTIMES[:1])
    assert not list(tmp_path.iterdir())


def test_integer_ends_compute_exactly_what_the_float_ends_compute(arm_models: Mapping[str, bytes]):
    arm = tiny_policies.arm_policy()
    model = edge_model.make_edge_model(arm_models["static_wi8_ai8"], "int8", "action", {})
    inputs = model.encode(arm.observations)
    assert inputs.dtype == np.int8
    got = model.decode(model_runner.ModelRunner(model.model).run(inputs))
    expected = model_runner.ModelRunner(arm_models["static_wi8_ai8"]).run(arm.observations)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    names = {name for name, _ in model.operators}
    assert names == {"FULLY_CONNECTED", "TANH"}


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [("dynamic_wi8_afp32", "has no integer core to cut out"), ("static_wi8_ai16", "the model has int16")],
)
def test_integer_ends_need_an_int8_core(arm_models: Mapping[str, bytes], recipe: str, complaint: str):
    with pytest.raises(errors.ConversionError, match=complaint):
        edge_model.make_edge_model(arm_models[recipe], "int8", "action", {})


def test_a_float_model_has_steps_of_an_int8_one(arm_models: Mapping[str, bytes]):
    model = edge_model.make_edge_model(arm_models["float32"], "float32", "action", {})
    values = np.asarray([[0, 1], [255, 1]], np.float32)
    np.testing.assert_allclose(model.output_step(values), [1, 1])


def test_a_runtime_that_dies_is_told(arm_models: Mapping[str, bytes]):
    dead = trial.Runtime("ai-edge-litert", "xnnpack", (sys.executable, "-c", "import os; os.abort()"))
    assert trial.run(dead, arm_models["float32"], np.zeros((1, 3), np.float32)).refusal.startswith("ended by")
    absent = trial.Runtime("ai-edge-litert", "xnnpack", ("/nonexistent/python",))
    assert "could not be run" in trial.run(absent, arm_models["float32"], np.zeros((1, 3), np.float32)).refusal


def test_damaged_bytes_are_refused_by_a_trial(arm_models: Mapping[str, bytes]):
    refusal = trial.run(_RUNTIMES[0], arm_models["float32"][:100], np.zeros((1, 3), np.float32)).refusal
    assert refusal
