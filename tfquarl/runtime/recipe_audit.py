"""The audit that a policy's flatbuffer is what its recipe says, layer by layer."""

from collections.abc import Mapping

from tfquarl.core import errors
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import interpreter

# TFLiteConverter leaves smaller kernels in float32 with dynamic ranges.
MIN_DYNAMIC_KERNEL_ELEMENTS = 1024


def check_model(model: bytes, recipe: recipe_lib.Recipe) -> None:
    """Audits that the file is what the recipe says, layer by layer.

    Args:
      model: a policy's flatbuffer.
      recipe: in force.

    Raises:
      ArtifactError: bytes that are not a policy.
      ConversionError: a tensor of another type than the recipe's, by name.
    """
    layout = interpreter.check_structure(model)
    widened = {
        operator.outputs[0]: layout.tensors[operator.inputs[0]]
        for operator in layout.operators
        if operator.name == "DEQUANTIZE" and layout.tensors[operator.inputs[0]].is_constant
    }
    layers = [operator for operator in layout.operators if operator.name == "FULLY_CONNECTED"]
    if not layers:
        raise errors.ConversionError(f"recipe '{recipe.name}': the model has no layers")
    for operator in layers:
        source, kernel, bias = (widened.get(index, layout.tensors[index]) for index in operator.inputs)
        target = layout.tensors[operator.outputs[0]]
        _check_layer(recipe, {"input": source, "kernel": kernel, "bias": bias, "output": target})
    for operator in layout.operators:
        if operator.name == "TANH":
            _check_type(recipe, layout.tensors[operator.outputs[0]], recipe.activation_type)
    for index in (layout.input, layout.output):
        _check_type(recipe, layout.tensors[index], recipe.io)


def _check_layer(recipe: recipe_lib.Recipe, tensors: Mapping[str, flatbuffer.Tensor]) -> None:
    kernel = tensors["kernel"]
    size = kernel.shape[0] * kernel.shape[-1]
    is_small = not recipe.is_static and recipe.weight_type == "int8" and size < MIN_DYNAMIC_KERNEL_ELEMENTS
    _check_type(recipe, kernel, "float32" if is_small else recipe.weight_type)
    _check_type(recipe, tensors["bias"], recipe.bias_type)
    for name in ("input", "output"):
        _check_type(recipe, tensors[name], recipe.activation_type)


def _check_type(recipe: recipe_lib.Recipe, tensor: flatbuffer.Tensor, dtype: str) -> None:
    if tensor.dtype != dtype:
        raise errors.ConversionError(
            f"recipe '{recipe.name}': tensor '{tensor.name}' is {tensor.dtype} in the converted model, the recipe needs {dtype}"
        )
