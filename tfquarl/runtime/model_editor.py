"""Editing a TFLite flatbuffer as objects of its schema, and writing it in one canonical order.

TFLiteConverter numbers tensors and buffers by the order of its own passes, leaves out biases that are all zero, and aligns constants
differently from recipe to recipe. `pack` writes the same graph always in the same way, with names that people can read.
"""

from collections.abc import Sequence
import copy
from typing import Any

from ai_edge_litert import schema_py_generated as schema
import flatbuffers
import numpy as np

_ALIGNMENT = 16


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes start at a multiple of 16, as the schema demands and the generated code forgets."""

    def Pack(self, builder: Any) -> int:
        data = np.ascontiguousarray(self.data).view(np.uint8).ravel()
        builder.StartVector(1, len(data), _ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data.tobytes()
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


class ModelEditor:
    """One model, open for editing: operators are added at its ends, then all is written in the order of execution."""

    def __init__(self, model: bytes) -> None:
        """Opens a flatbuffer that TFLiteConverter wrote, with one subgraph of one input and one output."""
        self._model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        self._graph: Any = self._model.subgraphs[0]

    @property
    def operators(self) -> list[tuple[str, Any]]:
        """Name and object of each operator, in the order of execution."""
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        return [(names[self._code(operator)], operator) for operator in self._graph.operators]

    def tensor(self, index: int) -> Any:
        """A tensor's object."""
        return self._graph.tensors[index]

    @property
    def input(self) -> int:
        """Index of the model's input."""
        return int(self._graph.inputs[0])

    @property
    def output(self) -> int:
        """Index of the model's output."""
        return int(self._graph.outputs[0])

    def add_tensor(self, name: str, shape: Sequence[int], dtype: str, data: np.ndarray | None = None) -> int:
        """Adds a tensor, constant where it has `data`; its index."""
        tensor: Any = schema.TensorT()
        tensor.name, tensor.shape, tensor.hasRank = name, list(shape), True
        tensor.type = getattr(schema.TensorType, dtype.upper())
        tensor.buffer = 0
        if data is not None:
            buffer: Any = schema.BufferT()
            buffer.data = np.ascontiguousarray(data).view(np.uint8).ravel()
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def separate_constants(self) -> None:
        """Gives each operator its own copy of a constant that several share, as equal biases do in some files and not in others."""
        producers = {int(operator.outputs[0]): operator for operator in self._graph.operators}
        used: set[int] = set()
        for operator in list(self._graph.operators):
            operator.inputs = [int(index) for index in operator.inputs]
            for position, index in enumerate(operator.inputs):
                if index in used and index >= 0:
                    operator.inputs[position] = self._copy_constant(index, producers.get(index))
                used.add(index)

    def _copy_constant(self, index: int, producer: Any) -> int:
        """A copy of a constant, or of what widens one; `index` itself where it is computed from the input."""
        if producer is not None:
            source = int(producer.inputs[0])
            copied = self._copy_constant(source, None)
            return index if copied == source else self.add_dequantize(copied, "")
        if self._model.buffers[self.tensor(index).buffer].data is None:
            return index
        self._graph.tensors.append(copy.copy(self.tensor(index)))
        return len(self._graph.tensors) - 1

    def set_scale(self, index: int, scale: float) -> None:
        """Makes tensor `index` a quantized one with one scale and zero point 0."""
        quantization: Any = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [scale], [0]
        self.tensor(index).quantization = quantization

    def add_dequantize(self, source: int, name: str) -> int:
        """Adds an operator that widens the float16 tensor `source` to a new float32 tensor; its index."""
        target = self.add_tensor(name, self.tensor(source).shape, "float32")
        kind, version = "DEQUANTIZE", 3
        self._graph.operators.insert(0, self._operator(kind, version, [source], target, None))
        return target

    def prepend(self, name: str, constant: np.ndarray, constant_name: str, input_name: str) -> None:
        """Puts `input OP constant` in front: what was the input is the operator's output, and a new tensor is the input.

        Args:
          name: of the operator, 'SUB', 'MUL' or 'ADD'.
          constant: float32 [D].
          constant_name: name of its tensor.
          input_name: name of the new input tensor.
        """
        old = self.input
        new = self.add_tensor(input_name, self.tensor(old).shape, "float32")
        operand = self.add_tensor(constant_name, constant.shape, "float32", constant)
        self._graph.operators.insert(0, self._elementwise(name, new, operand, old))
        self._graph.inputs = [new]
        self._model.signatureDefs[0].inputs[0].tensorIndex = new

    def append(self, name: str, constant: np.ndarray, constant_name: str, output_name: str) -> None:
        """Puts `output OP constant` behind; a new tensor is the output. Arguments as of `prepend`."""
        new = self.add_tensor(output_name, self.tensor(self.output).shape, "float32")
        operand = self.add_tensor(constant_name, constant.shape, "float32", constant)
        self._append(self._elementwise(name, self.output, operand, new))

    def append_reshape(self, num_columns: int, output_name: str) -> None:
        """Puts a change to rows of `num_columns` behind, for any batch."""
        shape = np.array([-1, num_columns], np.int32)
        size = int(np.prod(self.tensor(self.output).shape))
        new = self.add_tensor(output_name, [size // num_columns, num_columns], "float32")
        operand = self.add_tensor(f"{output_name}/shape", shape.shape, "int32", shape)
        self._append(self._operator("RESHAPE", 1, [self.output, operand], new, None))

    def append_softmax(self, output_name: str) -> None:
        """Puts a softmax of each row behind."""
        options: Any = schema.SoftmaxOptionsT()
        options.beta = 1.0
        new = self.add_tensor(output_name, self.tensor(self.output).shape, "float32")
        self._append(self._operator("SOFTMAX", 1, [self.output], new, options))

    def append_sum(self, output_name: str) -> None:
        """Puts the sum of each row behind, of shape [rows, 1]."""
        options: Any = schema.ReducerOptionsT()
        options.keepDims = True
        axis = np.array([1], np.int32)
        new = self.add_tensor(output_name, [int(self.tensor(self.output).shape[0]), 1], "float32")
        operand = self.add_tensor(f"{output_name}/axis", axis.shape, "int32", axis)
        self._append(self._operator("SUM", 1, [self.output, operand], new, options))

    def pack(self) -> bytes:
        """The flatbuffer, with operators, tensors, operator codes and buffers numbered by the order of their use."""
        self._sort_operators()
        self._sort_codes()
        self._sort_tensors()
        self._sort_buffers()
        builder = flatbuffers.Builder(
            sum(_AlignedBuffer is type(b) and b.data.nbytes + 64 for b in self._model.buffers) + 8192
        )
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _append(self, operator: Any) -> None:
        self._graph.operators.append(operator)
        self._graph.outputs = [operator.outputs[0]]
        self._model.signatureDefs[0].outputs[0].tensorIndex = operator.outputs[0]

    def _code(self, operator: Any) -> int:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return max(code.builtinCode, code.deprecatedBuiltinCode)

    def _elementwise(self, name: str, left: int, right: int, output: int) -> Any:
        options = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}[name]()
        return self._operator(name, 1, [left, right], output, options)

    def _operator(self, name: str, version: int, inputs: list[int], output: int, options: Any) -> Any:
        code: Any = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = version
        self._model.operatorCodes.append(code)
        operator: Any = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        return operator

    def _sort_operators(self) -> None:
        """Each operator right before the first one that needs it."""
        producers = {int(operator.outputs[0]): operator for operator in self._graph.operators}
        ordered: list[Any] = []

        def visit(tensor: int) -> None:
            operator = producers.pop(tensor, None)
            if operator is not None:
                for source in operator.inputs:
                    visit(int(source))
                ordered.append(operator)

        visit(self.output)
        self._graph.operators = ordered

    def _sort_codes(self) -> None:
        old, new = self._model.operatorCodes, {}
        for operator in self._graph.operators:
            code = old[operator.opcodeIndex]
            operator.opcodeIndex, _ = new.setdefault((code.builtinCode, code.version), (len(new), code))
        self._model.operatorCodes = [code for _, code in new.values()]

    def _sort_tensors(self) -> None:
        order = {self.input: 0}
        for operator in self._graph.operators:
            for index in (*operator.inputs, *operator.outputs):
                order.setdefault(int(index), len(order))
        self._graph.tensors = [_canonical_tensor(self._graph.tensors[index]) for index in order]
        for operator in self._graph.operators:
            operator.inputs = [order[int(index)] for index in operator.inputs]
            operator.outputs = [order[int(index)] for index in operator.outputs]
        signature = self._model.signatureDefs[0]
        signature.inputs[0].tensorIndex, signature.outputs[0].tensorIndex = order[self.input], order[self.output]
        self._graph.inputs, self._graph.outputs = [order[self.input]], [order[self.output]]

    def _sort_buffers(self) -> None:
        """Buffer 0 is empty and serves all computed tensors; then one for each constant, then those of the metadata."""
        buffers: list[Any] = [schema.BufferT()]
        for user in [*self._graph.tensors, *(self._model.metadata or [])]:
            data = self._model.buffers[user.buffer].data
            user.buffer = 0
            if data is not None and len(data):
                buffer: Any = _AlignedBuffer()
                buffer.data = np.asarray(data)
                user.buffer = len(buffers)
                buffers.append(buffer)
        self._model.buffers = buffers


def _canonical_tensor(tensor: Any) -> Any:
    """The same tensor without what depends on how it came to be: empty tables, and ranges that its scale already tells."""
    result: Any = schema.TensorT()
    result.name, result.shape, result.type, result.buffer = tensor.name, list(tensor.shape), tensor.type, tensor.buffer
    result.hasRank = True
    old = tensor.quantization
    if old is not None and old.scale is not None and len(old.scale):
        quantization: Any = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = list(old.scale), list(old.zeroPoint)
        result.quantization = quantization
    return result


def text(name: str | bytes) -> str:
    """A name in a model: the schema's classes give bytes where they read it and text where it was set."""
    return name.decode() if isinstance(name, bytes) else name
