"""Tests of runtime.flatbuffer, runtime.table_reader and runtime.operator_rules."""

import dataclasses
import struct

import numpy as np
import pytest

from tests.runtime import policy_files
from tfquarl.core import errors
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import model_editor
from tfquarl.runtime import operator_rules

_FLOAT = policy_files.float32_policy()
_INT8 = policy_files.int8_policy()


def test_layout():
    layout = flatbuffer.read_layout(_FLOAT)
    assert [operator.name for operator in layout.operators] == ["FULLY_CONNECTED", "FULLY_CONNECTED", "TANH"]
    assert [operator.activation for operator in layout.operators] == ["relu", "none", "none"]
    assert (layout.tensors[layout.input].name, layout.tensors[layout.output].name) == ("observation", "action")
    assert layout.output_name == "action"


def test_constants_are_views_of_the_file():
    layout = flatbuffer.read_layout(_FLOAT)
    tensor = next(tensor for tensor in layout.tensors if tensor.name == "dense_0/kernel")
    np.testing.assert_array_equal(tensor.values(_FLOAT), policy_files.KERNELS[0])
    changed = bytearray(_FLOAT)
    tensor.values(changed)[0, 0] = 42
    assert tensor.values(bytes(changed))[0, 0] == 42
    assert tensor.data_start % 16 == 0


def test_tensor_of_whole_numbers():
    layout = flatbuffer.read_layout(_INT8)
    kernel = next(tensor for tensor in layout.tensors if tensor.name == "dense_0/kernel")
    assert (kernel.shape, kernel.dtype, kernel.num_bytes) == ((4, 3), "int8", 12)
    assert (kernel.scales, kernel.zero_points) == (pytest.approx((2 / 127,)), (0,))
    assert sum(tensor.num_bytes for tensor in layout.tensors if tensor.is_constant) == 12 + 16 + 8 + 8


def test_computed_tensor_has_no_values():
    layout = flatbuffer.read_layout(_FLOAT)
    with pytest.raises(ValueError, match="'observation' is computed"):
        layout.tensors[layout.input].values(_FLOAT)


def test_scales_lie_where_they_are_said_to():
    tensor = next(tensor for tensor in flatbuffer.read_layout(_INT8).tensors if tensor.name == "dense_0")
    assert struct.unpack_from("<f", _INT8, tensor.scale_start) == tensor.scales == (1 / 32,)
    assert struct.unpack_from("<q", _INT8, tensor.zero_point_start) == tensor.zero_points == (-128,)


def _with_scale(model: bytes, scale: float) -> bytes:
    tensor = next(tensor for tensor in flatbuffer.read_layout(model).tensors if tensor.name == "dense_0")
    changed = bytearray(model)
    struct.pack_into("<f", changed, tensor.scale_start, scale)
    return bytes(changed)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (b"", "needs b'TFL3'"),
        (b"\0" * 100, "needs b'TFL3'"),
        (_FLOAT[:4] + b"TFL4" + _FLOAT[8:], "needs b'TFL3'"),
        (b"\xff\xff\xff\x7f" + _FLOAT[4:], "truncated or altered"),
        (_FLOAT[: len(_FLOAT) // 2], "model: "),
        (_with_scale(_INT8, 0.0), "has scales"),
        (_with_scale(_INT8, float("nan")), "has scales"),
        (_with_scale(_INT8, float("inf")), "has scales"),
    ],
    ids=["empty", "zeros", "other identifier", "far root", "half", "scale 0", "scale NaN", "scale infinite"],
)
def test_other_bytes_are_refused(model: bytes, message: str):
    with pytest.raises(errors.ArtifactError, match=message):
        flatbuffer.read_layout(model)


def _changed_tensor(layout: flatbuffer.ModelLayout, name: str, **changes) -> flatbuffer.ModelLayout:
    tensors = [dataclasses.replace(t, **changes) if t.name == name else t for t in layout.tensors]
    return dataclasses.replace(layout, tensors=tuple(tensors))


def _changed_operator(layout: flatbuffer.ModelLayout, index: int, **changes) -> flatbuffer.ModelLayout:
    operators = list(layout.operators)
    operators[index] = dataclasses.replace(operators[index], **changes)
    return dataclasses.replace(layout, operators=tuple(operators))


_LAYOUT = flatbuffer.read_layout(_INT8)
_CATEGORICAL = flatbuffer.read_layout(policy_files.categorical_policy())
_LOW_BIT = flatbuffer.read_layout(policy_files.low_bit_policy())
_HEAD = next(tensor.index for tensor in _LAYOUT.tensors if tensor.name == "head")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (_changed_tensor(_LAYOUT, "dense_0/kernel", shape=(3, 4)), "FULLY_CONNECTED.* which don't fit"),
        (_changed_tensor(_LAYOUT, "dense_0/kernel", dtype="int16"), "which no policy has"),
        (_changed_tensor(_LAYOUT, "head", scales=(), zero_points=()), "has no scale"),
        (_changed_tensor(_LAYOUT, "head", scales=(1.0, 1.0), zero_points=(0, 0)), "needs one scale"),
        (_changed_tensor(_LAYOUT, "dense_0/kernel", zero_points=(3,)), "has zero points"),
        (_changed_tensor(_LAYOUT, "head", zero_points=(128,)), "has zero points"),
        (_changed_operator(_LAYOUT, 2, outputs=(_LAYOUT.input,)), "out of order"),
        (_changed_operator(_LAYOUT, 0, inputs=(_HEAD,)), "out of order"),
        (_changed_operator(_LAYOUT, 3, inputs=(0, 0)), "which no policy has"),
        (dataclasses.replace(_LAYOUT, output=_LAYOUT.input), "nothing computes its output"),
        (_changed_tensor(_CATEGORICAL, "logits/by_action", shape=(2, 2)), "RESHAPE.* which don't fit"),
        (_changed_tensor(_CATEGORICAL, "expected_values", shape=(1, 2)), "SUM.* which don't fit"),
        (_changed_tensor(_CATEGORICAL, "probabilities", shape=(2, 1)), "SOFTMAX.* which don't fit"),
        (_changed_tensor(_CATEGORICAL, "expected_values/axis", data_start=0), "out of order"),
    ],
    ids=[
        "shape",
        "type",
        "no scale",
        "two scales",
        "zero point",
        "zero point beyond int8",
        "output",
        "input",
        "number of inputs",
        "no output",
        "reshape",
        "sum",
        "softmax",
        "computed axis",
    ],
)
def test_operators_on_other_tensors_are_refused(layout: flatbuffer.ModelLayout, message: str):
    with pytest.raises(errors.ArtifactError, match=message):
        operator_rules.check_operators(layout)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (
            _changed_tensor(_LAYOUT, "dense_0", scales=(1e-9,)),
            "'dense_0' has steps of 1e-09, .* multiplied by 2.46e[+]05",
        ),
        (_changed_tensor(_LAYOUT, "head/kernel", scales=(0.1, 1e4)), "'head' has steps of 0.0156"),
        (_changed_tensor(_LOW_BIT, "head/coarse", scales=(1e-9,)), "QUANTIZE.*'head/coarse' has steps of 1e-09"),
    ],
    ids=["fine output", "one coarse unit", "fine steps behind a tanh"],
)
def test_scales_that_no_kernel_can_bridge_are_refused(layout: flatbuffer.ModelLayout, message: str):
    with pytest.raises(errors.RefusedModelError, match=message):
        operator_rules.check_operators(layout)


def test_scale_that_no_kernel_takes_is_refused_by_name():
    model = bytearray(_INT8)
    head = _LAYOUT.tensors[_HEAD]
    struct.pack_into("<f", model, head.scale_start, 1e-38)
    with pytest.raises(errors.RefusedModelError, match="'head', has scales of 1e-38"):
        flatbuffer.read_layout(model)


def test_name_that_is_no_text_is_refused():
    name = _INT8.index(b"dense_0/kernel")
    with pytest.raises(errors.ArtifactError, match="is no UTF-8"):
        flatbuffer.read_layout(_INT8[:name] + b"\xff" + _INT8[name + 1 :])


@pytest.mark.parametrize(
    ("operator", "field", "value", "message"),
    [
        ("SOFTMAX", "beta", 2.0, "options of SOFTMAX are 2.0, need 1.0"),
        ("SUM", "keepDims", False, "options of SUM are False, need True"),
    ],
    ids=["temperature", "lost dimension"],
)
def test_other_options_are_refused(operator: str, field: str, value: object, message: str):
    editor = model_editor.ModelEditor(policy_files.categorical_policy())
    setattr(dict(editor.operators)[operator].builtinOptions, field, value)
    with pytest.raises(errors.ArtifactError, match=message):
        flatbuffer.read_layout(editor.pack())


@pytest.mark.parametrize(
    "model",
    [_FLOAT, _INT8, policy_files.categorical_policy(), policy_files.low_bit_policy()],
    ids=["float32", "int8", "categorical", "low bit"],
)
def test_policies_pass(model: bytes):
    operator_rules.check_operators(flatbuffer.read_layout(model))
