"""Tests of runtime.recipe_audit."""

import dataclasses

import pytest

from tests.runtime import policy_files
from tfquarl.core import errors
from tfquarl.quantization import recipe
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter
from tfquarl.runtime import recipe_audit

_INT8 = flatbuffer.read_layout(policy_files.int8_policy())


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


def _change_tensor(
    monkeypatch: pytest.MonkeyPatch, layout: flatbuffer.ModelLayout, name: str, **changes: object
) -> None:
    """The file has this layout, with another tensor `name`."""
    tensors = tuple(
        dataclasses.replace(tensor, **changes) if tensor.name == name else tensor for tensor in layout.tensors
    )
    changed = dataclasses.replace(layout, tensors=tensors)
    monkeypatch.setattr(interpreter, "check_structure", lambda model: changed)


@pytest.mark.parametrize("name", [tensor.name for tensor in _INT8.tensors])
def test_no_tensor_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str):
    _change_tensor(monkeypatch, _INT8, name, dtype="int16")
    with pytest.raises(errors.ConversionError, match=f"'{name}' is int16"):
        recipe_audit.check_model(b"", recipe.static_wi8_ai8())


def test_small_kernels_alone_may_stay_in_float32_with_dynamic_ranges(monkeypatch: pytest.MonkeyPatch):
    layout = flatbuffer.read_layout(policy_files.float32_policy())
    dynamic = recipe.from_name("dynamic_wi8_afp32")
    _change_tensor(monkeypatch, layout, "dense_0/kernel", shape=(11, 93))  # 1023 elements
    recipe_audit.check_model(b"", dynamic)
    _change_tensor(monkeypatch, layout, "dense_0/kernel", shape=(32, 32))  # 1024
    with pytest.raises(errors.ConversionError, match=r"'dense_0/kernel' is float32 .* needs int8"):
        recipe_audit.check_model(b"", dynamic)
