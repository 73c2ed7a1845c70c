"""What stands in front of a policy's integer core, as constants for the program around it."""

import numpy as np
import pytest

from tests.runtime import policy_files
from tfquarl.runtime import integer_core
from tfquarl.runtime import tensor_probe


def _scaled(*operators: tuple[str, list[float]]) -> bytes:
    """The int8 policy, whose input has steps of 1/64, behind these float operators."""
    editor = integer_core.PolicyGraph(policy_files.int8_policy())
    for number, (name, constant) in enumerate(reversed(operators)):
        editor.prepend(name, np.float32(constant), f"constant_{number}", f"float_{number}")
    return editor.pack()


@pytest.mark.parametrize(
    ("operators", "offset", "multiplier"),
    [
        ([], [0, 0, 0], [64, 64, 64]),
        ([("SUB", [1, 0.1, 2000000.125]), ("MUL", [2, 0.3, 4])], [1, 0.1, 2000000.125], [128, 19.2, 256]),
        ([("MUL", [2, 1, -4]), ("ADD", [1, 0, 2])], [-0.5, 0, 0.5], [128, 64, -256]),
        ([("SUB", [5, 5, 5]), ("MUL", [0, 1, 1])], [0, 5, 5], [0, 64, 64]),
    ],
    ids=["nothing in front", "offset and scale", "scale and addend", "feature that is not observed"],
)
def test_encoding_by_hand(operators: list, offset: list[float], multiplier: list[float]):
    core = integer_core.PolicyGraph(_scaled(*operators)).find_core()
    assert core is not None
    np.testing.assert_array_equal(core.encode.offset, np.float32(offset))
    np.testing.assert_array_equal(core.encode.multiplier, np.float32(multiplier))


def test_a_constant_in_place_of_a_feature_is_no_encoding():
    model = _scaled(("MUL", [0, 1, 1]), ("ADD", [1, 0, 0]))
    assert integer_core.PolicyGraph(model).find_core() is None


@pytest.mark.parametrize("offset", [0, 10, 2e6, -3e7], ids=lambda offset: f"offset {offset:g}")
def test_integers_are_those_of_the_model_with_float_ends(offset: float):
    model = _scaled(("SUB", [offset] * 3), ("MUL", [1, 0.5, 0.25]))
    observations = np.float32(offset + np.random.default_rng(0).uniform(-2, 2, (200, 3)))
    (inside,) = [
        probed.stored
        for probed in tensor_probe.probe(model, observations).values()
        if probed.tensor.name == "observation/quantized"
    ]
    core = integer_core.PolicyGraph(model).find_core()
    assert core is not None
    integers = np.clip(np.rint(core.encode(observations)) + core.input_zero_point, -128, 127)
    np.testing.assert_array_equal(integers, inside)
