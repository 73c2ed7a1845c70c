"""Tests of quantization.recipe."""

import pytest

from tfquarl.core import errors
from tfquarl.quantization import recipe

_FACTS = {
    "float32": (32, None, False),
    "float16": (16, None, False),
    "dynamic_wi8_afp32": (8, None, False),
    "static_wi8_ai8": (8, 8, True),
    "static_wi8_ai16": (8, 16, True),
}


def test_names():
    assert set(recipe.NAMES) == set(_FACTS)


@pytest.mark.parametrize("name", _FACTS)
def test_bits_are_those_of_the_name(name: str):
    found = recipe.from_name(name)
    assert (found.weight_bits, found.activation_bits, found.needs_calibration) == _FACTS[name]
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
