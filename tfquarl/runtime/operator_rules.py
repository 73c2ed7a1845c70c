"""Which types and shapes the operators of a policy may have, so that no kernel meets a combination it wasn't written for."""

from collections.abc import Sequence
import math

from tfquarl.core import errors
from tfquarl.runtime import flatbuffer

# Types of inputs, then outputs.
_TYPES = {
    "FULLY_CONNECTED": {
        ("float32", "float32", "float32", "float32"),
        ("float32", "int8", "float32", "float32"),
        ("int8", "int8", "int32", "int8"),
        ("int16", "int8", "int64", "int16"),
    },
    "TANH": {("float32", "float32"), ("int8", "int8"), ("int16", "int16")},
    "QUANTIZE": {("float32", "int8"), ("float32", "int16"), ("int8", "int8")},
    "DEQUANTIZE": {("int8", "float32"), ("int16", "float32"), ("float16", "float32")},
    "ADD": {("float32", "float32", "float32"), ("int8", "int8", "int8")},
    "SUB": {("float32", "float32", "float32")},
    "MUL": {("float32", "float32", "float32"), ("int8", "int8", "int8")},
    "MAXIMUM": {("float32", "float32", "float32")},
    "RESHAPE": {("float32", "int32", "float32")},
    "SOFTMAX": {("float32", "float32")},
    "SUM": {("float32", "int32", "float32")},
}

# Integer kernels multiply their sums by less than this.
_MULTIPLIER_LIMIT = 2.0**8


def check_operators(layout: flatbuffer.ModelLayout) -> None:
    """Checks that each operator takes values that exist, of types and shapes that its kernels are for.

    Raises:
      ArtifactError: with the operator and what it got.
      RefusedModelError: its scales are further apart than its kernels can take.
    """
    known = {tensor.index for tensor in layout.tensors if tensor.is_constant}
    if layout.input in known:
        raise errors.ArtifactError("model: its input is a constant; the bytes were altered")
    known.add(layout.input)
    for number, operator in enumerate(layout.operators):
        what = f"operator {number} ({operator.name})"
        tensors = [layout.tensors[index] for index in operator.inputs + operator.outputs]
        if len(operator.outputs) != 1 or operator.outputs[0] in known or not known.issuperset(operator.inputs):
            raise errors.ArtifactError(f"model: {what} takes or gives tensors out of order; the bytes were altered")
        types = tuple(tensor.dtype for tensor in tensors)
        if types not in _TYPES[operator.name]:
            raise errors.ArtifactError(f"model: {what} has types {', '.join(types)}, which no policy has")
        _check_shapes(what, operator.name, tensors)
        _check_scales(what, tensors)
        _check_multipliers(what, operator.name, tensors)
        known.add(operator.outputs[0])
    if layout.output not in known or layout.output == layout.input:
        raise errors.ArtifactError("model: nothing computes its output; the bytes were altered")
    for index in (layout.input, layout.output):
        if len(layout.tensors[index].shape) != 2 or layout.tensors[index].shape[0] != 1:
            raise errors.ArtifactError(
                f"model: tensor {index} has shape {layout.tensors[index].shape}, needs [1, size]"
            )


def _check_shapes(what: str, name: str, tensors: Sequence[flatbuffer.Tensor]) -> None:
    shapes = [tensor.shape for tensor in tensors]
    if name == "FULLY_CONNECTED":
        units, size = (*shapes[1], 0)[:2]
        fits = shapes == [(1, size), (units, size), (units,), (1, units)] and tensors[1].is_constant == (
            tensors[2].is_constant
        )
    elif name in ("ADD", "SUB", "MUL", "MAXIMUM"):
        fits = shapes[0] == shapes[2] and shapes[1] in (shapes[0], shapes[0][-1:])
    elif name == "RESHAPE":
        is_matrix = shapes[1] == (len(shapes[2]),) == (2,) and tensors[1].is_constant
        fits = is_matrix and math.prod(shapes[0]) == math.prod(shapes[2])
    elif name == "SUM":
        fits = shapes[1] == (1,) and tensors[1].is_constant and shapes[2] == (shapes[0][0], 1)
    else:
        fits = shapes[0] == shapes[1]
    if not fits:
        raise errors.ArtifactError(f"model: {what} has shapes {', '.join(map(str, shapes))}, which don't fit")


def _check_scales(what: str, tensors: Sequence[flatbuffer.Tensor]) -> None:
    for tensor in tensors:
        if tensor.dtype in ("int8", "int16") and not tensor.scales:
            raise errors.ArtifactError(f"model: {what}: tensor '{tensor.name}' is {tensor.dtype} and has no scale")
        if not tensor.is_constant and len(tensor.scales) > 1:
            raise errors.ArtifactError(
                f"model: {what}: tensor '{tensor.name}' needs one scale, has {len(tensor.scales)}"
            )
        is_symmetric = (len(tensor.shape) == 2 and tensor.is_constant) or tensor.dtype != "int8"
        low, high = (0, 0) if is_symmetric else (-128, 127)
        if any(not low <= zero_point <= high for zero_point in tensor.zero_points):
            raise errors.ArtifactError(
                f"model: {what}: tensor '{tensor.name}' has zero points {tensor.zero_points[:3]}"
            )


def _check_multipliers(what: str, name: str, tensors: Sequence[flatbuffer.Tensor]) -> None:
    """Checks what integer sums are multiplied by to become the output's steps."""
    if name == "FULLY_CONNECTED" and tensors[-1].dtype != "float32":
        source, kernel, _, target = tensors
        multipliers = [source.scales[0] * scale / target.scales[0] for scale in kernel.scales]
    elif name == "QUANTIZE" and tensors[0].dtype != "float32":
        multipliers = [tensors[0].scales[0] / tensors[1].scales[0]]
    else:
        return
    for multiplier in multipliers:
        if not multiplier < _MULTIPLIER_LIMIT:
            raise errors.RefusedModelError(
                f"model: {what}: '{tensors[-1].name}' has steps of {tensors[-1].scales[0]:.3g}, which its sums are multiplied by "
                f"{multiplier:.3g} for; kernels take less than {_MULTIPLIER_LIMIT:g}; is the layer dead, or was it altered?"
            )
