"""Tests of runtime.recipe_audit."""

import pytest

from tests.runtime import policy_files
from tfquarl.core import errors
from tfquarl.quantization import recipe
from tfquarl.runtime import recipe_audit


@pytest.mark.parametrize(
    ("model", "name", "io"),
    [
        (policy_files.float32_policy(), "float32", "float32"),
        (policy_files.int8_policy(), "static_wi8_ai8", "float32"),
        (policy_files.int8_policy("int8"), "static_wi8_ai8", "int8"),
    ],
    ids=["float32", "int8", "int8 with integer ends"],
)
def test_file_is_what_its_recipe_says(model: bytes, name: str, io: str):
    recipe_audit.check_model(model, recipe.from_name(name, io))


@pytest.mark.parametrize(
    ("model", "name", "io", "message"),
    [
        (policy_files.float32_policy(), "static_wi8_ai8", "float32", "'dense_0/kernel' is float32 .* needs int8"),
        (policy_files.float32_policy(), "float16", "float32", "'dense_0/kernel' is float32 .* needs float16"),
        (policy_files.int8_policy(), "static_wi8_ai16", "float32", "'dense_0/bias' is int32 .* needs int64"),
        (policy_files.int8_policy(), "dynamic_wi8_afp32", "float32", "'dense_0/kernel' is int8"),
        (policy_files.int8_policy(), "static_wi8_ai8", "int8", "'observation' is float32 .* needs int8"),
        (policy_files.int8_policy("int8"), "static_wi8_ai8", "float32", "'observation/quantized' is int8"),
    ],
    ids=["float inside", "not float16", "not int16", "integers inside", "float ends", "integer ends"],
)
def test_audit_names_the_tensor(model: bytes, name: str, io: str, message: str):
    with pytest.raises(errors.ConversionError, match=message):
        recipe_audit.check_model(model, recipe.from_name(name, io))
