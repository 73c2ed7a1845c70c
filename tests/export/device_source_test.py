"""The generated C++ compiles without a warning, holds the model's bytes and computes what Python computes."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import compilers
from tfquarl.export import device_source
from tfquarl.export import edge_model
from tfquarl.export import golden_vectors
from tfquarl.export import tolerance
from tfquarl.runtime import integer_core
from tfquarl.testing import tiny_policies

_DISCRETE = environment_spec.EnvironmentSpec(
    "lab:\\discrete\n#error", (environment_spec.ObservationField("observation", (3,), 0),), num_actions=2
)
_MODEL = bytes(range(256)) * 3 + b"end"
_OBSERVATIONS = np.random.default_rng(0).normal(0, 3, (20, 3)).astype(np.float32)

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing")


def _edge_model(io: str) -> edge_model.EdgeModel:
    encode = integer_core.Encoding(np.asarray([0.5, -3, 100], np.float32), np.asarray([30, 7, 0.1], np.float32))
    decode = integer_core.Affine(np.asarray([1 / 64, 1 / 32], np.float32), np.asarray([0, 1], np.float32))
    core = integer_core.IntegerCore("int8", 0.1, -7, 1 / 128, 0, encode, decode)
    return edge_model.EdgeModel(_MODEL, io, "action", (("TANH", 2), ("FULLY_CONNECTED", 4), ("TANH", 2)), core, None)


def _sources(io: str, spec: environment_spec.EnvironmentSpec) -> dict[str, str]:
    model = _edge_model(io)
    outputs = np.random.default_rng(1).integers(-128, 128, (20, 2)).astype(model.encode(_OBSERVATIONS).dtype)
    limits = tolerance.Tolerance(np.full(outputs.shape, 2.5), None)
    vectors = golden_vectors.make_golden_vectors(model, _OBSERVATIONS, outputs, limits)
    return {
        "policy_model_data.h": device_source.model_data_header(model, spec, 1024),
        "policy_model_data.cc": device_source.model_data_source(model, spec),
        "golden_vectors.h": vectors.to_header(),
    }


@needs_compiler
@pytest.mark.parametrize("spec", [_DISCRETE, tiny_policies.ARM_SPEC], ids=["discrete", "continuous"])
@pytest.mark.parametrize("io", ["int8", "float32"])
def test_it_compiles_without_a_warning(io: str, spec: environment_spec.EnvironmentSpec):
    rows = compilers.compile_sources(_sources(io, spec), _MODEL)
    assert [row["compiler"] for row in rows[:2]] == ["g++", "gcc"]
    assert [row["status"] for row in rows[:2]] == ["passed", "passed"]


@needs_compiler
def test_another_array_than_the_model_is_refused():
    with pytest.raises(errors.ConversionError, match="the compiled array is not the model's bytes"):
        compilers.compile_sources(_sources("int8", tiny_policies.ARM_SPEC), _MODEL + b"more")


@needs_compiler
def test_a_warning_is_refused():
    sources = _sources("int8", tiny_policies.ARM_SPEC)
    sources["golden_vectors.h"] += "static int PolicyUnused;\n"
    with pytest.raises(errors.ConversionError, match=r"does not compile the generated code: .*PolicyUnused"):
        compilers.compile_sources(sources, _MODEL)


def test_an_absent_compiler_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    assert {row["status"] for row in compilers.compile_sources({}, b"")} == {"absent"}


_PROGRAM = """
#include <stdio.h>
#include "golden_vectors.h"
int main(void) {
  int wrong = 0;
  for (int i = 0; i < kPolicyNumGoldenVectors; ++i) {
    PolicyNumber input[kPolicyObservationSize];
    float values[kPolicyOutputSize];
    PolicyEncode(g_policy_golden_observations[i], input);
    PolicyDecode(g_policy_golden_outputs[i], values);
    for (int j = 0; j < kPolicyObservationSize; ++j) wrong += input[j] != g_policy_golden_inputs[i][j];
    for (int j = 0; j < kPolicyOutputSize; ++j) wrong += values[j] != g_policy_golden_values[i][j];
  }
  const float values[kPolicyOutputSize] = {-1.0f, 2.0f};
  wrong += (unsigned long)g_policy_model_data % 16 != 0;
  printf("%d wrong, best %d, %u bytes\\n", wrong, PolicyGreedyAction(values), g_policy_model_data_size);
  return 0;
}
"""


@needs_compiler
@pytest.mark.parametrize("language", ["c", "cc"])
@pytest.mark.parametrize("io", ["int8", "float32"])
def test_its_maps_compute_what_python_computes(tmp_path: pathlib.Path, io: str, language: str):
    program = f"program.{language}"
    for name, text in {**_sources(io, _DISCRETE), program: _PROGRAM}.items():
        (tmp_path / name).write_text(text)
    compiler = ["gcc", "-std=c99"] if language == "c" else ["g++", "-std=c++11"]
    subprocess.run([*compiler, "-c", program, "-o", "program.o"], cwd=tmp_path, check=True, timeout=60)
    build = ["g++", "-std=c++11", "-ffp-contract=off", "program.o", "policy_model_data.cc", "-o", "program"]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=60)
    said = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == f"0 wrong, best 1, {len(_MODEL)} bytes\n"


_CLIPPING = """
#include <stdio.h>
#include "policy_model_data.h"
int main(void) {
  float values[kPolicyOutputSize] = {VALUES};
  PolicyClip(values);
  printf("%g %g within %g %g and %g %g\\n", (double)values[0], (double)values[1], (double)kPolicyActionLow[0],
         (double)kPolicyActionLow[1], (double)kPolicyActionHigh[0], (double)kPolicyActionHigh[1]);
  return 0;
}
"""


@needs_compiler
@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11"]], ids=["C99", "C++11"])
@pytest.mark.parametrize(
    ("values", "clipped"), [("-2.5f, 3.5f", "-2 3"), ("2.5f, -1.5f", "2 -1"), ("1.5f, -0.5f", "1.5 -0.5")]
)
def test_actions_are_kept_within_their_bounds(tmp_path: pathlib.Path, compiler: list[str], values: str, clipped: str):
    program = "program.c" if compiler[0] == "gcc" else "program.cc"
    sources = {**_sources("int8", tiny_policies.ARM_SPEC), program: _CLIPPING.replace("VALUES", values)}
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    strict = ["-Wall", "-Wextra", "-Werror", "-c"]
    subprocess.run([*compiler, *strict, program, "-o", "program.o"], cwd=tmp_path, check=True, timeout=60)
    build = ["g++", "-std=c++11", *strict[:3], "program.o", "policy_model_data.cc", "-o", "program"]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=60)
    said = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == f"{clipped} within -2 -1 and 2 3\n"


def test_the_resolver_has_just_the_operators_of_the_model():
    text = device_source.op_resolver_header(_edge_model("int8"), "")
    assert "MicroMutableOpResolver<2>" in text
    assert text.count("TF_LITE_ENSURE_STATUS") == 2
    assert "AddTanh()" in text and "AddFullyConnected()" in text


@pytest.mark.parametrize(
    ("operators", "refusal", "reason"),
    [((("TANH", 1),), 'says "no"', "says 'no'"), ((("GELU", 1),), "", "no kernel is known for GELU")],
    ids=["the runtime refuses", "unknown operator"],
)
def test_a_model_that_micro_does_not_run_cannot_be_compiled_by_mistake(operators, refusal: str, reason: str):
    model = edge_model.EdgeModel(b"", "float32", "action", operators, None, None)
    text = device_source.op_resolver_header(model, refusal)
    assert text == f'#error "TensorFlow Lite Micro does not run this model: {reason}"\n'


# What main.cc uses of TensorFlow Lite Micro, with a model that gives the golden outputs, or what RUNTIME says instead.
_FAKE_MICRO = {
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
#define TF_LITE_ENSURE_STATUS(a) if ((a) != kTfLiteOk) return kTfLiteError
namespace tflite {
template <unsigned int size>
struct MicroMutableOpResolver {
  TfLiteStatus AddTanh() { return kTfLiteOk; }
  TfLiteStatus AddFullyConnected() { return kTfLiteOk; }
};
}  // namespace tflite
""",
    "tensorflow/lite/schema/schema_generated.h": """
#pragma once
namespace tflite {
struct Model {};
inline const Model* GetModel(const void* data) { return static_cast<const Model*>(data); }
}  // namespace tflite
""",
    "tensorflow/lite/micro/micro_interpreter.h": """
#pragma once
#include <string.h>
#include "golden_vectors.h"
#include "tensorflow/lite/schema/schema_generated.h"
struct TfLiteTensor { PolicyNumber data[64]; };
namespace tflite {
template <typename T>
T* GetTensorData(TfLiteTensor* tensor) { return tensor->data; }
struct MicroInterpreter {
  template <typename Resolver>
  MicroInterpreter(const Model*, const Resolver&, uint8_t*, int) {}
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  TfLiteTensor* input(int) { return &in; }
  TfLiteTensor* output(int) { return &out; }
  int arena_used_bytes() { return 0; }
  TfLiteStatus Invoke() {
    const PolicyNumber* golden = g_policy_golden_outputs[calls++];
    for (int i = 0; i < kPolicyOutputSize; ++i) out.data[i] = RUNTIME;
    return kTfLiteOk;
  }
  TfLiteTensor in, out;
  int calls = 0;
};
}  // namespace tflite
""",
}


@needs_compiler
@pytest.mark.parametrize(
    ("runtime", "exit_code", "said"),
    [
        ("golden[i]", 0, "all 20 golden vectors passed; the arena holds 0 bytes"),
        (
            "golden[i] + (calls == 3 ? 2 : 0) * g_policy_golden_step[i]",
            0,
            "all 20 golden vectors passed; the arena holds 0 bytes",
        ),
        ("golden[i] + (calls == 3 ? 3 : 0) * g_policy_golden_step[i]", 1, "golden vector 2, output 0: got "),
        (
            "golden[i] + g_policy_golden_step[i]",
            1,
            "golden vectors: 1.000000 output steps off in the mean, 0.500000 allowed",
        ),
        ("0 * golden[i]", 1, "golden vector 0, output "),
        ("golden[kPolicyOutputSize - 1 - i]", 1, "golden vector 0, output 0: got "),
    ],
    ids=["right", "rounded otherwise", "too far", "too far in the mean", "zeroed", "permuted"],
)
def test_main_checks_the_golden_vectors(tmp_path: pathlib.Path, runtime: str, exit_code: int, said: str):
    sources = {
        **_sources("float32", tiny_policies.ARM_SPEC),
        "policy_op_resolver.h": device_source.op_resolver_header(_edge_model("float32"), ""),
        "main.cc": device_source.template("main.cc"),
        **_FAKE_MICRO,
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    build = ["g++", "-std=c++17", "-Wall", f"-DRUNTIME={runtime}", "-I.", "main.cc", "policy_model_data.cc", "-o", "m"]
    subprocess.run(build, cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run([tmp_path / "m"], capture_output=True, text=True, timeout=60)
    assert done.returncode == exit_code and done.stdout.startswith(said), done.stdout
