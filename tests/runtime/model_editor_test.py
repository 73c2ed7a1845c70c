"""Tests of runtime.model_editor."""

import numpy as np
import pytest

from tests.runtime import policy_files
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter
from tfquarl.runtime import model_editor

_OBSERVATIONS = np.random.default_rng(0).uniform(-1, 1, (4, policy_files.OBSERVATION_SIZE)).astype(np.float32)


def test_packing_again_changes_nothing():
    for model in (policy_files.float32_policy(), policy_files.int8_policy()):
        assert model_editor.ModelEditor(model).pack() == model


def test_operators_at_both_ends():
    editor = model_editor.ModelEditor(policy_files.float32_policy())
    editor.prepend("MUL", np.float32([2, 1, 0.5]), "scale", "centred")
    editor.prepend("SUB", np.float32([1, 0, -1]), "offset", "raw")
    editor.append("MUL", np.float32([3, 4]), "half_range", "half")
    editor.append("ADD", np.float32([1, -1]), "middle", "bounded")
    model = editor.pack()
    scaled = (_OBSERVATIONS - [1, 0, -1]) * [2, 1, 0.5]
    expected = policy_files.expected(scaled) * [3, 4] + [1, -1]
    np.testing.assert_allclose(interpreter.PolicyInterpreter(model, 4)(_OBSERVATIONS), expected, atol=1e-5)
    names = [tensor.name for tensor in flatbuffer.read_layout(model).tensors]
    assert names[:5] == ["raw", "offset", "centred", "scale", "observation"]
    assert names[-4:] == ["half_range", "half", "middle", "bounded"]


@pytest.mark.parametrize("batch_size", [1, 4], ids=["one observation", "a batch"])
def test_mean_of_a_softmax_behind(batch_size: int):
    policy = interpreter.PolicyInterpreter(policy_files.categorical_policy(), batch_size)
    masses = np.exp(policy_files.expected(_OBSERVATIONS[:batch_size]))
    expected = masses @ [3, 5] / masses.sum(axis=1)
    np.testing.assert_allclose(policy(_OBSERVATIONS[:batch_size]), expected[:, np.newaxis], atol=1e-5)


def test_constants_start_at_multiples_of_16():
    for tensor in flatbuffer.read_layout(policy_files.int8_policy()).tensors:
        assert tensor.data_start % 16 == 0


def test_shared_constants_are_separated():
    shared = model_editor.ModelEditor(policy_files.float32_policy())
    first, second = (operator for name, operator in shared.operators if name == "FULLY_CONNECTED")
    shared.tensor(second.inputs[2]).shape = [4]  # as if both layers had the same bias
    second.inputs = [second.inputs[0], second.inputs[1], first.inputs[2]]
    shared.separate_constants()
    assert second.inputs[2] != first.inputs[2]
    assert shared.tensor(second.inputs[2]).buffer == shared.tensor(first.inputs[2]).buffer
