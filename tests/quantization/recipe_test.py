"""Tests of quantization.recipe."""

import pytest

from tfquarl.core import errors
from tfquarl.quantization import recipe

_FACTS = {
    "float32": (32, "float32", False),
    "float16": (16, "float32", False),
    "dynamic_wi8_afp32": (8, "float32", False),
    "static_wi8_ai8": (8, "int8", True),
    "static_wi8_ai16": (8, "int16", True),
}


def test_names():
    assert set(recipe.NAMES) == set(_FACTS)


@pytest.mark.parametrize("name", _FACTS)
def test_bits_are_those_of_the_name(name: str):
    found = recipe.from_name(name)
    assert (found.weight_bits, found.activation_type, found.needs_calibration) == _FACTS[name]
    assert (found.name, found.io) == (name, "float32")


def test_each_recipe_tells_its_consequences():
    for name in recipe.NAMES:
        text = getattr(recipe, name).__doc__
        assert all(word in text for word in ("Accuracy:", "Speed:", "uns", "alibration"))


@pytest.mark.parametrize(
    ("name", "io", "message"),
    [
        ("static_wi8_a8", "float32", "did you mean static_wi8_ai8"),
        ("xyz", "float32", "float32 or float16 or dynamic_wi8_afp32 or static_wi8_ai8 or static_wi8_ai16"),
        ("static_wi8_ai8", "uint8", "needs one of float32, int8"),
        ("static_wi8_ai16", "int8", "needs int8 activations, it has int16; use static_wi8_ai8"),
        ("float32", "int8", "needs int8 activations, it has float32"),
    ],
    ids=["close name", "no close name", "unknown io", "int8 io of int16", "int8 io of float"],
)
def test_what_cannot_be_is_refused(name: str, io: str, message: str):
    with pytest.raises(errors.ConfigError, match=message):
        recipe.from_name(name, io)


def test_low_bit_names_are_decoded():
    found = recipe.from_name("qat_wi4_ai3_ii5_pc")
    assert found.name == "qat_wi4_ai3_ii5_pc"
    assert found.is_trained
    assert found.widths is not None
    assert (found.widths.weights, found.widths.activations, found.widths.inputs, found.widths.outputs) == (4, 3, 5, 8)
    assert (found.weight_bits, found.activation_type) == (8, "int8")
    assert not recipe.from_name("ptq_wi4_ai3").is_trained
    with pytest.raises(errors.ConfigError, match="recipe 'qat_wi1_ai8': weights have 1 bits, needs 2 to 8"):
        recipe.from_name("qat_wi1_ai8")
    with pytest.raises(errors.ConfigError, match="has float inputs and outputs only"):
        recipe.from_name("ptq_wi4_ai4", "int8")
