"""Tests of runtime.interpreter."""

import random
import struct
import subprocess
import sys

import numpy as np
import pytest

from tests.runtime import policy_files
from tfquarl.core import errors
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter

_OBSERVATIONS = np.random.default_rng(0).uniform(-1, 1, (8, policy_files.OBSERVATION_SIZE)).astype(np.float32)
_MODELS = {
    "float32": (policy_files.float32_policy(), 1e-6),
    "static int8": (policy_files.int8_policy(), 0.05),
    "static int8 with integer ends": (policy_files.int8_policy("int8"), 0.05),
}


@pytest.mark.parametrize("name", _MODELS)
def test_outputs_are_the_policys(name: str):
    model, tolerance = _MODELS[name]
    policy = interpreter.PolicyInterpreter(model, batch_size=8)
    np.testing.assert_allclose(policy(_OBSERVATIONS), policy_files.expected(_OBSERVATIONS), atol=tolerance)
    assert (policy.batch_size, policy.observation_size, policy.output_size) == (8, 3, 2)


@pytest.mark.parametrize("name", _MODELS)
def test_batch_gives_what_single_observations_give(name: str):
    model, _ = _MODELS[name]
    single = interpreter.PolicyInterpreter(model)
    rows = [single(_OBSERVATIONS[i : i + 1])[0].copy() for i in range(8)]
    np.testing.assert_allclose(interpreter.PolicyInterpreter(model, 8)(_OBSERVATIONS), rows, atol=1e-6)


def test_output_is_valid_until_the_next_call():
    policy = interpreter.PolicyInterpreter(_MODELS["float32"][0])
    first = policy(_OBSERVATIONS[:1])
    kept = first.copy()
    policy(_OBSERVATIONS[1:2])
    assert not np.array_equal(first, kept)


def test_output_survives_its_interpreter():
    output = interpreter.PolicyInterpreter(_MODELS["float32"][0])(_OBSERVATIONS[:1])
    np.testing.assert_allclose(output, policy_files.expected(_OBSERVATIONS[:1]), atol=1e-6)


def test_integer_ends_saturate():
    policy = interpreter.PolicyInterpreter(_MODELS["static int8 with integer ends"][0])
    far, edge = policy(np.full((1, 3), 1e9, np.float32)).copy(), policy(np.full((1, 3), 127 / 64, np.float32))
    np.testing.assert_array_equal(far, edge)


def _with_constant(model: bytes, name: str, value: list[int]) -> bytes:
    tensor = next(tensor for tensor in flatbuffer.read_layout(model).tensors if tensor.name == name)
    changed = bytearray(model)
    tensor.values(changed)[...] = value
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q_values/shape", [-1, 2]),
        ("q_values/shape", [1, -1]),
        ("q_values/shape", [-1, -1]),
        ("q_values/shape", [0, 0]),
        ("logits/by_action/shape", [-1, 1 << 30]),
        ("expected_values/axis", [0]),
        ("expected_values/axis", [7]),
    ],
    ids=["two columns", "one row", "no size", "nothing", "far too many columns", "sum of columns", "no such axis"],
)
def test_other_shapes_in_the_constants_are_refused(name: str, value: list[int]):
    with pytest.raises(errors.ArtifactError):
        interpreter.PolicyInterpreter(_with_constant(policy_files.categorical_policy(), name, value), 8)


def test_observations_of_another_batch_size_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        interpreter.PolicyInterpreter(_MODELS["float32"][0], 2)(_OBSERVATIONS[:3])


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size must be positive, got 0"):
        interpreter.PolicyInterpreter(_MODELS["float32"][0], 0)


@pytest.mark.parametrize("name", _MODELS)
def test_truncated_model_is_refused(name: str):
    model, _ = _MODELS[name]
    for length in range(0, len(model) - 1, 7):
        with pytest.raises(errors.ArtifactError):
            interpreter.PolicyInterpreter(model[:length])


def test_no_process_dies_of_altered_bytes():
    # In a process of its own: where the check lets something through that TFLite follows into nowhere, that process dies.
    result = subprocess.run(
        [sys.executable, "-m", "tests.runtime.interpreter_test"],
        capture_output=True,
        text=True,
        timeout=250,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    num_refused, num_run = map(int, result.stdout.split())
    assert num_refused > 1000
    assert num_run > 10  # an altered weight is a policy, only not the one that its digest promises


def _run_altered_models(num_models: int) -> tuple[int, int]:
    """Alters bytes, scales or zero points at one to three random places; how many were refused and how many ran."""
    generator, num_refused, num_run = random.Random(0), 0, 0
    models = [
        *(model for model, _ in _MODELS.values()),
        policy_files.categorical_policy(),
        policy_files.low_bit_policy(),
    ]
    for _ in range(num_models):
        model = bytearray(generator.choice(models))
        quantized = [tensor for tensor in flatbuffer.read_layout(model).tensors if tensor.scales]
        for _ in range(generator.randint(1, 3)):
            kind = generator.choice(["byte", "byte", "scale", "zero point"] if quantized else ["byte"])
            if kind == "byte":
                model[generator.randrange(len(model))] = generator.choice(
                    [0, 1, 2, 127, 128, 255, generator.randrange(256)]
                )
            elif kind == "scale":
                scale = 10 ** generator.uniform(-31, 31)
                struct.pack_into("<f", model, generator.choice(quantized).scale_start, scale)
            else:
                zero_point = generator.choice([-129, -128, -1, 1, 127, 128])
                struct.pack_into("<q", model, generator.choice(quantized).zero_point_start, zero_point)
        try:
            policy = interpreter.PolicyInterpreter(bytes(model))
            policy(_OBSERVATIONS[:1])
        except errors.ArtifactError:
            num_refused += 1
        except (ValueError, RuntimeError):
            continue  # another input size, or a run that TFLite gives up
        else:
            num_run += 1
    return num_refused, num_run


if __name__ == "__main__":
    print(*_run_altered_models(6000))
