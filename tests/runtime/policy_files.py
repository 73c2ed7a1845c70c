"""Flatbuffers of small policies, written straight from the schema: y = tanh(relu(x @ W0 + b0) @ W1 + b1)."""

from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema
import flatbuffers
import numpy as np

from tfquarl.runtime import low_bit_graph
from tfquarl.runtime import model_editor

OBSERVATION_SIZE, UNITS, OUTPUT_SIZE = 3, 4, 2
KERNELS = (
    np.float32([[1, -1, 0.5], [0, 2, 0], [0.5, 0.5, 0.5], [-1, 0, 1]]),
    np.float32([[0.25, -0.5, 0.125, 1], [0.5, 0.25, -1, 0]]),
)
BIASES = (np.float32([0, 0.5, -0.25, 1]), np.float32([0.125, -0.125]))
_INT8 = {"input": (1 / 64, 0), "dense_0": (1 / 32, -128), "head": (1 / 64, 0), "tanh": (1 / 128, 0)}


class _Writer:
    """Collects tensors and operators."""

    def __init__(self) -> None:
        self.graph: Any = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model: Any = schema.ModelT()
        self.model.version, self.model.operatorCodes, self.model.buffers = 3, [], [schema.BufferT()]
        self.model.subgraphs, self.model.description = [self.graph], "test"

    def tensor(self, name: str, shape: Sequence[int], dtype: str, quantization: Any = None, data: Any = None) -> int:
        tensor: Any = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, list(shape), 0
        tensor.type = getattr(schema.TensorType, dtype.upper())
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization[0]], [quantization[1]]
        if data is not None:
            buffer: Any = schema.BufferT()
            buffer.data = np.ascontiguousarray(data, dtype).view(np.uint8).ravel()
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, inputs: Sequence[int], output: int, activation: int | None = None) -> int:
        code: Any = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = {"FULLY_CONNECTED": 4, "TANH": 2, "DEQUANTIZE": 2}.get(name, 1)
        self.model.operatorCodes.append(code)
        operator: Any = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), [output]
        if activation is not None:
            operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            operator.builtinOptions = schema.FullyConnectedOptionsT()
            operator.builtinOptions.fusedActivationFunction = activation
        self.graph.operators.append(operator)
        return output

    def finish(self, source: int, target: int) -> bytes:
        self.graph.inputs, self.graph.outputs = [source], [target]
        signature: Any = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = [_tensor_map("observation", source)], [_tensor_map("action", target)]
        self.model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return model_editor.ModelEditor(bytes(builder.Output())).pack()


def _tensor_map(name: str, index: int) -> Any:
    result: Any = schema.TensorMapT()
    result.name, result.tensorIndex = name, index
    return result


def float32_policy() -> bytes:
    """The policy in float32."""
    writer = _Writer()
    x = source = writer.tensor("observation", [1, OBSERVATION_SIZE], "float32")
    for layer, (kernel, bias) in enumerate(zip(KERNELS, BIASES)):
        name = ("dense_0", "head")[layer]
        constants = [
            writer.tensor(f"{name}/kernel", kernel.shape, "float32", data=kernel),
            writer.tensor(f"{name}/bias", bias.shape, "float32", data=bias),
        ]
        output = writer.tensor(name, [1, len(bias)], "float32")
        x = writer.operator("FULLY_CONNECTED", [x, *constants], output, activation=1 - layer)
    x = writer.operator("TANH", [x], writer.tensor("action", [1, OUTPUT_SIZE], "float32"))
    return writer.finish(source, x)


def int8_policy(io: str = "float32") -> bytes:
    """The policy in static int8 with float or integer ends."""
    writer = _Writer()
    quantized = writer.tensor("observation/quantized", [1, OBSERVATION_SIZE], "int8", _INT8["input"])
    x = source = quantized
    if io == "float32":
        source = writer.tensor("observation", [1, OBSERVATION_SIZE], "float32")
        x = writer.operator("QUANTIZE", [source], quantized)
    input_scale = _INT8["input"][0]
    for layer, (kernel, bias) in enumerate(zip(KERNELS, BIASES)):
        name = ("dense_0", "head")[layer]
        scale = float(np.abs(kernel).max()) / 127
        integers = np.rint(kernel / scale), np.rint(bias / (input_scale * scale))
        constants = [
            writer.tensor(f"{name}/kernel", kernel.shape, "int8", (scale, 0), integers[0]),
            writer.tensor(f"{name}/bias", bias.shape, "int32", (input_scale * scale, 0), integers[1]),
        ]
        output = writer.tensor(name, [1, len(bias)], "int8", _INT8[name])
        x = writer.operator("FULLY_CONNECTED", [x, *constants], output, activation=1 - layer)
        input_scale = _INT8[name][0]
    x = writer.operator("TANH", [x], writer.tensor("head/tanh", [1, OUTPUT_SIZE], "int8", _INT8["tanh"]))
    if io == "float32":
        x = writer.operator("DEQUANTIZE", [x], writer.tensor("action", [1, OUTPUT_SIZE], "float32"))
    return writer.finish(source, x)


def low_bit_policy() -> bytes:
    """The int8 policy with the operators of low-bit ones: clamped observations, a scale for each unit, coarser actions."""
    graph = low_bit_graph.LowBitGraph(int8_policy())
    graph.clamp_below("observation", "observation/low", "observation/clamped")
    graph.set_unit_scales("dense_0/kernel")
    graph.set_unit_scales("dense_0/bias")
    graph.requantize("head/tanh", 1 / 8, "head/coarse")
    return graph.pack()


def categorical_policy() -> bytes:
    """One action whose two logits are the outputs of the float32 policy, over atoms of value 3 and 5."""
    editor = model_editor.ModelEditor(float32_policy())
    editor.append_reshape(2, "logits/by_action")
    editor.append_softmax("probabilities")
    editor.append("MUL", np.float32([3, 5]), "atoms", "weighted_atoms")
    editor.append_sum("expected_values")
    editor.append_reshape(1, "q_values")
    return editor.pack()


def expected(observations: np.ndarray) -> np.ndarray:
    """What the float policy gives."""
    x = np.maximum(observations @ KERNELS[0].T + BIASES[0], 0)
    return np.tanh(x @ KERNELS[1].T + BIASES[1])
