"""Values between layers: the same as integer arithmetic by hand, and the integers at the ends."""

import numpy as np
import pytest

from tests.runtime import policy_files
from tfquarl.core import errors
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter
from tfquarl.runtime import tensor_probe

_OBSERVATIONS = np.float32([[0.5, 0.25, -0.25], [1, -1, 0], [0, 0, 0]])


def _by_name(model: bytes, observations: np.ndarray) -> dict[str, tensor_probe.ProbedTensor]:
    return {probed.tensor.name: probed for probed in tensor_probe.probe(model, observations).values()}


def test_float_values_are_those_of_the_layers():
    probed = _by_name(policy_files.float32_policy(), _OBSERVATIONS)
    hidden = np.maximum(_OBSERVATIONS @ policy_files.KERNELS[0].T + policy_files.BIASES[0], 0)
    head = hidden @ policy_files.KERNELS[1].T + policy_files.BIASES[1]
    np.testing.assert_allclose(probed["dense_0"].real, hidden, atol=1e-6)
    np.testing.assert_allclose(probed["head"].real, head, atol=1e-6)
    np.testing.assert_allclose(probed["action"].real, np.tanh(head), atol=1e-6)


def test_integers_stand_for_the_same_values_in_steps():
    probed = _by_name(policy_files.int8_policy(), _OBSERVATIONS)
    assert list(probed) == ["observation", "observation/quantized", "dense_0", "head", "head/tanh", "action"]
    # 1/64 a step: 0.5 is 32, 0.25 is 16; 1 is 64.
    assert probed["observation/quantized"].stored.tolist() == [[32, 16, -16], [64, -64, 0], [0, 0, 0]]
    np.testing.assert_array_equal(probed["observation/quantized"].real, _OBSERVATIONS)
    hidden = np.maximum(_OBSERVATIONS @ policy_files.KERNELS[0].T + policy_files.BIASES[0], 0)
    assert probed["dense_0"].stored.dtype == np.int8
    np.testing.assert_allclose(probed["dense_0"].real, hidden, atol=1 / 32)
    assert probed["dense_0"].stored[2].tolist() == [-128, 16 - 128, -128, 32 - 128]  # of zeros: relu(bias) in 1/32


def test_the_output_is_what_collectors_get():
    model = policy_files.int8_policy()
    expected = interpreter.PolicyInterpreter(model, 3)(_OBSERVATIONS)
    np.testing.assert_allclose(_by_name(model, _OBSERVATIONS)["action"].real, expected, atol=1 / 128)


def test_observations_beyond_an_integer_input_lie_at_its_ends():
    probed = _by_name(policy_files.int8_policy("int8"), np.float32([[100, -100, 0.25]]))
    assert probed["observation/quantized"].stored.tolist() == [[127, -128, 16]]


def test_observations_of_another_policy_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 4\), the policy needs \[N, 3\]"):
        tensor_probe.probe(policy_files.float32_policy(), np.zeros((2, 4), np.float32))


def test_bytes_that_are_no_policy_are_refused():
    with pytest.raises(errors.ArtifactError):
        tensor_probe.probe(b"TFL3" * 10, _OBSERVATIONS)


@pytest.mark.parametrize(
    ("dtype", "scales", "zero_points", "expected"),
    [
        ("float32", (), (), [[-128, 4], [0, 127]]),
        ("int8", (0.5,), (4,), [[-66, 0], [-2, 61.5]]),
        ("int8", (0.5, 2.0), (0, 0), [[-64, 2], [0, 254]]),
    ],
    ids=["no scale", "one scale", "a scale for each row"],
)
def test_real_values(dtype: str, scales: tuple[float, ...], zero_points: tuple[int, ...], expected: list):
    tensor = flatbuffer.Tensor(0, "x", (2, 2), dtype, scales, zero_points, 0)
    got = tensor_probe.real_values(tensor, np.asarray([[-128, 4], [0, 127]], dtype))
    assert got.dtype == np.float32
    assert got.tolist() == expected
