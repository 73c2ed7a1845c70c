"""A static int8 policy rebuilt for values of fewer bits: scales for each unit, clamps at its ends, and coarser steps behind a tanh."""

from typing import Any

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from tfquarl.runtime import model_editor


class LowBitGraph(model_editor.ModelEditor):
    """A model, open for what low-bit policies have and TFLiteConverter does not write."""

    def index_of(self, name: str) -> int:
        """Index of the one tensor called `name`."""
        names = [model_editor.text(tensor.name) for tensor in self._graph.tensors]
        if names.count(name) != 1:
            raise ValueError(f"{names.count(name)} tensors are called '{name}', needs one of {', '.join(names)}")
        return names.index(name)

    def rename(self, name: str, new_name: str) -> None:
        """Gives the one tensor called `name` another name."""
        self.tensor(self.index_of(name)).name = new_name

    def quantized_input(self) -> str:
        """Name of the float tensor that the first QUANTIZE takes: the observation, scaled where the policy scales it."""
        source = next(operator.inputs[0] for name, operator in self.operators if name == "QUANTIZE")
        return model_editor.text(self.tensor(int(source)).name)

    def set_unit_scales(self, name: str) -> None:
        """Makes place for one scale per unit in the constant called `name`, all 1; its first dimension is the units."""
        tensor = self.tensor(self.index_of(name))
        quantization: Any = schema.QuantizationParametersT()
        units = int(tensor.shape[0])
        quantization.scale, quantization.zeroPoint = [1.0] * units, [0] * units
        tensor.quantization = quantization

    def clamp_below(self, name: str, constant_name: str, clamped_name: str) -> None:
        """Puts MAXIMUM with a constant [size] of zeros behind the float tensor called `name`, under a new name."""
        source = self.index_of(name)
        size = int(self.tensor(source).shape[-1])
        target = self.add_tensor(clamped_name, self.tensor(source).shape, "float32")
        constant = self.add_tensor(constant_name, [size], "float32", np.zeros(size, np.float32))
        self._redirect(source, target)
        operator = self._operator("MAXIMUM", 1, [source, constant], target, None)
        operator.builtinOptionsType = schema.BuiltinOptions.MaximumMinimumOptions
        operator.builtinOptions = schema.MaximumMinimumOptionsT()
        self._graph.operators.append(operator)

    def requantize(self, name: str, scale: float, requantized_name: str) -> None:
        """Puts QUANTIZE to an int8 tensor of `scale` and zero point 0 behind the int8 tensor called `name`, under a new name."""
        source = self.index_of(name)
        target = self.add_tensor(requantized_name, self.tensor(source).shape, "int8")
        self.set_scale(target, scale)
        self._redirect(source, target)
        self._graph.operators.append(self._operator("QUANTIZE", 1, [source], target, schema.QuantizeOptionsT()))

    def _redirect(self, source: int, target: int) -> None:
        """All that takes tensor `source`, the model's output too, takes `target`."""
        for _, operator in self.operators:
            operator.inputs = [target if int(index) == source else int(index) for index in operator.inputs]
        if self.output == source:
            self._graph.outputs = [target]
            self._model.signatureDefs[0].outputs[0].tensorIndex = target
