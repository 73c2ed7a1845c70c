"""A compiled policy of one architecture and recipe, whose constants are rewritten for each snapshot."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from tfquarl.converter import scaling_ops
from tfquarl.core import errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import affine
from tfquarl.quantization import calibration
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer

_MIN_SCALE = 1e-30
_NUM_OBSERVATIONS = 16


class _Slot:
    """The bytes of one tensor in the template's own file, found once and written for each snapshot.

    Attributes:
      dtype: of the tensor.
      values: of a constant, to be written to; empty where the tensor is computed.
    """

    def __init__(self, model: bytearray, tensor: flatbuffer.Tensor) -> None:
        self.dtype = tensor.dtype
        self.values = tensor.values(model) if tensor.is_constant else np.empty(0)
        self._name = tensor.name
        has_scale = len(tensor.scales) > 0
        self._scale = np.frombuffer(model, "<f4", int(has_scale), tensor.scale_start)
        self._zero_point = np.frombuffer(model, "<i8", int(has_scale), tensor.zero_point_start)

    def set_scale(self, scale: float | np.float32, zero_point: int = 0) -> None:
        """Writes the tensor's quantization; an `OverflowError` where the scale is beyond what kernels can take."""
        if not _MIN_SCALE < scale < 1 / _MIN_SCALE:
            raise OverflowError(f"tensor '{self._name}' has a scale of {scale:.3g}")
        self._scale[0] = scale
        self._zero_point[0] = zero_point


@dataclasses.dataclass(frozen=True)
class _Layer:
    """Where one layer's parts lie in the file."""

    name: str
    kernel: _Slot
    bias: _Slot
    output: _Slot
    tanh: flatbuffer.Tensor | None


def template_inputs(
    architecture: architecture_lib.PolicyArchitecture, recipe: recipe_lib.Recipe, scale_observations: bool
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Variables and observations that a template can be compiled from: random ones, with no layer dead or constant.

    Kernels and biases are positive, so that some observation keeps each relu of a narrow layer alive.

    Args:
      architecture: of the policy.
      recipe: of the policy.
      scale_observations: whether the policy scales its observations.
    """
    generator = np.random.default_rng(0)
    variables = {}
    for name, shape in architecture.variable_shapes().items():
        value = generator.standard_normal(shape, np.float32)
        if name.endswith("/kernel"):
            value = np.abs(value) / np.float32(np.sqrt(shape[0]))
        elif name.endswith("/bias"):
            value = np.abs(value) + 1
        elif not scale_observations:
            value[...] = name == scaling_ops.SCALE
        variables[name] = value
    shape = (_NUM_OBSERVATIONS, architecture.observation_size)
    return variables, generator.standard_normal(shape, np.float32) if recipe.needs_calibration else None


class Template:
    """Writes snapshots into its copy of a flatbuffer: weights, biases, scales and zero points at known positions.

    Not for several threads at once.
    """

    def __init__(
        self, model: bytes, architecture: architecture_lib.PolicyArchitecture, recipe: recipe_lib.Recipe
    ) -> None:
        """Finds the positions.

        Args:
          model: a policy of this architecture and recipe by the reference path.
          architecture: of the policy.
          recipe: of the policy.
        """
        self._model = bytearray(model)
        self._architecture = architecture
        self._recipe = recipe
        layout = flatbuffer.read_layout(model)
        self._scaling = {
            tensor.name: _Slot(self._model, tensor)
            for tensor in layout.tensors
            if tensor.name in (scaling_ops.OFFSET, scaling_ops.SCALE)
        }
        self._layers = _find_layers(self._model, layout, architecture)
        quantized = [o.outputs[0] for o in layout.operators if o.name == "QUANTIZE"]
        self._input = _Slot(self._model, layout.tensors[quantized[0] if quantized else layout.input])

    def write(self, variables: Mapping[str, np.ndarray], observations: np.ndarray | None) -> bytes:
        """The flatbuffer of a snapshot.

        Args:
          variables: of the policy, float32 by name.
          observations: for calibration, float32 [N, D]; None where the recipe needs none.

        Raises:
          NumericalError: a value that the recipe's types can't hold, by name.
          OverflowError: what only the reference path can do.
        """
        for name, slot in self._scaling.items():
            slot.values[...] = variables[name]
        core = scaling_ops.core_variables(self._recipe, variables, bool(self._scaling) or self._recipe.io == "int8")
        if self._recipe.is_static:
            if observations is None:
                raise ValueError(f"recipe '{self._recipe.name}' needs observations for calibration")
            offset, scale = variables[scaling_ops.OFFSET], variables[scaling_ops.SCALE]
            self._write_static(core, (observations - offset) * scale if self._scaling else observations)
        elif self._recipe.weight_type == "int8":
            self._write_dynamic(core)
        else:
            self._write_float(core)
        return bytes(self._model)

    def _write_float(self, core: Mapping[str, np.ndarray]) -> None:
        for layer in self._layers:
            for slot, part in ((layer.kernel, "kernel"), (layer.bias, "bias")):
                with np.errstate(over="ignore"):
                    value = core[f"{layer.name}/{part}"].astype(slot.dtype)
                if slot.dtype == "float16" and not np.isfinite(value).all():
                    raise errors.NumericalError(
                        f"variable '{layer.name}/{part}' has values beyond float16's 65504; use another recipe"
                    )
                slot.values[...] = value.T if part == "kernel" else _without_negative_zeros(value)

    def _write_dynamic(self, core: Mapping[str, np.ndarray]) -> None:
        for layer in self._layers:
            kernel = core[f"{layer.name}/kernel"]
            layer.bias.values[...] = _without_negative_zeros(core[f"{layer.name}/bias"])
            if layer.kernel.dtype == "float32":
                layer.kernel.values[...] = kernel.T
                continue
            scale = affine.dynamic_kernel_scale(float(_largest(kernel)))
            affine.quantize_dynamic_kernel(kernel, scale, layer.kernel.values)
            layer.kernel.set_scale(scale)

    def _write_static(self, core: Mapping[str, np.ndarray], observations: np.ndarray) -> None:
        activation_type = self._recipe.activation_type
        quantize = affine.int8_activation if activation_type == "int8" else affine.int16_activation
        low, high = calibration.observation_range(observations)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise errors.NumericalError("the observation scaling overflows on the calibration observations")
        source = quantize(low, high)
        self._input.set_scale(source.scale, source.zero_point)
        ranges = self._ranges(core, observations)
        for layer, output_range in zip(self._layers, ranges):
            largest = _largest(core[f"{layer.name}/kernel"])
            scales = self._layer_scales(layer, core, source.scale, max(-low, high), largest)
            layer.kernel.set_scale(scales.kernel)  # first, as it looks whether one can divide by them
            layer.bias.set_scale(scales.bias)
            affine.quantize_kernel(core[f"{layer.name}/kernel"], largest, scales.kernel, layer.kernel.values)
            layer.bias.values[...] = affine.quantize_bias(core[f"{layer.name}/bias"], scales.bias, layer.bias.dtype)
            low, high = output_range
            source = quantize(low, high)
            layer.output.set_scale(source.scale, source.zero_point)
            if layer.tanh is not None:
                source = affine.Quantization(affine.TANH_SCALES[activation_type])
                low, high = math.tanh(low), math.tanh(high)

    def _layer_scales(
        self,
        layer: _Layer,
        core: Mapping[str, np.ndarray],
        input_scale: np.float32,
        largest_input: float,
        largest_weight: np.float32,
    ) -> affine.LayerScales:
        largest_bias = float(_largest(core[f"{layer.name}/bias"]))
        if self._recipe.activation_type == "int8":
            return affine.layer_scales(input_scale, float(largest_weight), largest_bias)
        if not affine.int16_bias_fits(largest_input, float(largest_weight), largest_bias):
            raise OverflowError(f"layer '{layer.name}' has a bias far beyond its weights")
        return affine.int16_layer_scales(input_scale, largest_weight)

    def _ranges(self, core: Mapping[str, np.ndarray], observations: np.ndarray) -> Sequence[tuple[float, float]]:
        activations = [self._architecture.activation] * len(self._architecture.hidden_sizes) + ["none"]
        layers = [
            calibration.DenseLayer(core[f"{layer.name}/kernel"], core[f"{layer.name}/bias"], activation)
            for layer, activation in zip(self._layers, activations)
        ]
        try:
            return calibration.output_ranges(layers, observations)
        except OverflowError as error:
            name = self._layers[error.args[0]].name
            raise errors.NumericalError(f"layer '{name}' overflows on the calibration observations") from error


def _find_layers(
    model: bytearray, layout: flatbuffer.ModelLayout, architecture: architecture_lib.PolicyArchitecture
) -> tuple[_Layer, ...]:
    widened = {o.outputs[0]: o.inputs[0] for o in layout.operators if o.name == "DEQUANTIZE"}
    tanhs = {o.inputs[0]: layout.tensors[o.outputs[0]] for o in layout.operators if o.name == "TANH"}
    layers = []
    dense = [operator for operator in layout.operators if operator.name == "FULLY_CONNECTED"]
    for name, operator in zip(architecture.layer_names, dense, strict=True):
        kernel, bias = (_Slot(model, layout.tensors[widened.get(index, index)]) for index in operator.inputs[1:])
        output = operator.outputs[0]
        layers.append(_Layer(name, kernel, bias, _Slot(model, layout.tensors[output]), tanhs.get(output)))
    return tuple(layers)


def _without_negative_zeros(bias: np.ndarray) -> np.ndarray:
    """The bias as TFLiteConverter has it: one whose values are all zero, of either sign, is left out there, and positive zeros here."""
    return bias if bias.any() else np.zeros_like(bias)


def _largest(values: np.ndarray) -> np.float32:
    """Largest absolute value, float32, of a vector or a matrix: block by block, so that memory is read once."""
    blocks = [values] if values.ndim == 1 else [values[rows] for rows in affine.row_blocks(values)]
    highest = max(np.maximum.reduce(block, axis=None) for block in blocks)
    lowest = min(np.minimum.reduce(block, axis=None) for block in blocks)
    return max(highest, -lowest)
