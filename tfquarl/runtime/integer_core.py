"""The integer core of a statically quantized policy, and the float ends around it.

    observation -> [SUB, MUL, ADD by constants] -> QUANTIZE -> core -> DEQUANTIZE -> [MUL, ADD, SUB by constants] -> output

A device without floats runs the core alone: the very integers that were judged, without a second conversion. What the ends compute
is then two constants per observation feature and two per output. An observation's offset is taken off before anything is multiplied:
of a feature that is millions of steps away from 0 float32 keeps no steps behind a multiplication.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from tfquarl.core import errors
from tfquarl.runtime import model_editor

_FLOAT_OPERATORS = ("ADD", "SUB", "MUL")
DTYPES = {schema.TensorType.INT8: "int8", schema.TensorType.INT16: "int16", schema.TensorType.FLOAT32: "float32"}


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A map from an observation to steps from the zero point of an integer input: (x - offset) * multiplier.

    Attributes:
      offset: float32 [size].
      multiplier: float32 [size].
    """

    offset: np.ndarray
    multiplier: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """float32 [N, size], not yet rounded, of `x` [N, size]."""
        return (x.astype(np.float32) - self.offset) * self.multiplier


@dataclasses.dataclass(frozen=True)
class Affine:
    """A map from one vector to another, element by element: x * multiplier + addend.

    Attributes:
      multiplier: float32 [size].
      addend: float32 [size].
    """

    multiplier: np.ndarray
    addend: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """float32 [N, size] of `x` [N, size]."""
        return x.astype(np.float32) * self.multiplier + self.addend


@dataclasses.dataclass(frozen=True)
class IntegerCore:
    """The integer part of a policy and what stands around it.

    Attributes:
      dtype: of its input and output, 'int8' or 'int16'.
      input_scale: of one step of its input.
      input_zero_point: of its input.
      output_scale: of one step of its output.
      output_zero_point: of its output.
      encode: from an observation to steps from its input's zero point; the scale is in it.
      decode: from its output to q_values or actions.
    """

    dtype: str
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int
    encode: Encoding
    decode: Affine


class PolicyGraph(model_editor.ModelEditor):
    """A model, open for finding its integer core, cutting it out, and writing metadata into it."""

    @property
    def operator_versions(self) -> list[tuple[str, int]]:
        """Name and version of each operator, in the order of execution."""
        codes = self._model.operatorCodes
        return [(name, int(codes[operator.opcodeIndex].version)) for name, operator in self.operators]

    def float_constant(self, name: str) -> np.ndarray | None:
        """The values of the float32 constant called `name`, flat; None where there is none."""
        for tensor in self._graph.tensors:
            content = self._model.buffers[tensor.buffer].data
            if (
                model_editor.text(tensor.name) == name
                and tensor.type == schema.TensorType.FLOAT32
                and content is not None
            ):
                return np.frombuffer(np.asarray(content, np.uint8).tobytes(), np.float32)
        return None

    def find_core(self) -> IntegerCore | None:
        """The integer core; None where the model has none, or other float operators around it than an encoding and an affine map."""
        front = self._ends(self.input, "QUANTIZE", self._consumer)
        behind = self._ends(self.output, "DEQUANTIZE", self._producer)
        if front is None or behind is None:
            return None
        (first, forward), (last, backward) = front, behind
        source, target = self.tensor(first), self.tensor(last)
        dtypes = {DTYPES.get(source.type), DTYPES.get(target.type)}
        if len(dtypes) != 1 or not dtypes <= {"int8", "int16"}:
            return None
        scale, zero = float(source.quantization.scale[0]), int(source.quantization.zeroPoint[0])
        out_scale, out_zero = float(target.quantization.scale[0]), int(target.quantization.zeroPoint[0])
        size, out_size = int(source.shape[-1]), int(target.shape[-1])
        multiplier, addend = _compose(forward, size)
        if np.any((multiplier == 0) & (addend != 0)):
            return None  # a feature that is not observed has no offset that gives its constant
        out_multiplier, out_addend = _compose(reversed(backward), out_size)
        return IntegerCore(
            str(dtypes.pop()),
            scale,
            zero,
            out_scale,
            out_zero,
            _encoding(multiplier, addend, scale),
            _affine(out_multiplier * out_scale, out_addend - out_multiplier * out_scale * out_zero),
        )

    def cut_to_core(self, input_name: str, output_name: str) -> None:
        """Takes the float ends off: the core's input and output become the model's, under these names in its signature.

        Raises:
          ConversionError: the model has no integer core.
        """
        front = self._ends(self.input, "QUANTIZE", self._consumer)
        behind = self._ends(self.output, "DEQUANTIZE", self._producer)
        if front is None or behind is None or self.find_core() is None:
            names = ", ".join(name for name, _ in self.operators)
            raise errors.ConversionError(
                f"the model has no integer core to cut out (operators: {names}); integer input and output need the recipe "
                "static_wi8_ai8, and nothing but scaling in float around it"
            )
        self._keep(front[0], behind[0])
        self.tensor(front[0]).name, self.tensor(behind[0]).name = input_name, output_name

    def name_signature(self, input_name: str, output_name: str) -> None:
        """Names the input and the output in the one signature; a model without a signature gets one."""
        signature: Any = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = [_mapping(input_name, self.input)], [_mapping(output_name, self.output)]
        self._model.signatureDefs = [signature]

    def set_metadata(self, name: str, content: bytes) -> None:
        """Puts `content` into the file under `name`, instead of what was there under it."""
        kept = [item for item in self._model.metadata or [] if model_editor.text(item.name) != name]
        metadata: Any = schema.MetadataT()
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self._model.buffers.append(buffer)
        metadata.name, metadata.buffer = name, len(self._model.buffers) - 1
        self._model.metadata = [*kept, metadata]

    def metadata(self, name: str) -> bytes | None:
        """What is in the file under `name`; None where there is nothing."""
        for item in self._model.metadata or []:
            if model_editor.text(item.name) == name:
                return bytes(self._model.buffers[item.buffer].data)
        return None

    def to_bytes(self) -> bytes:
        """The flatbuffer."""
        self._drop_absent_inputs()
        return self.pack()

    def _drop_absent_inputs(self) -> None:
        """A bias that is left out is input -1 at the end; operators may as well have one input fewer."""
        for name, operator in self.operators:
            inputs = [int(index) for index in operator.inputs]
            while inputs and inputs[-1] < 0:
                inputs.pop()
            if min(inputs, default=0) < 0:
                raise errors.ConversionError(
                    f"operator {name} leaves out an input in the middle, which no export supports"
                )
            operator.inputs = inputs

    def _ends(
        self, index: int, border: str, next_operator: Callable[[int], tuple[str, Any] | None]
    ) -> tuple[int, list[tuple[str, np.ndarray]]] | None:
        """The tensor behind `border`, and the (operator, constant) pairs on the way to it from the tensor `index`."""
        if DTYPES.get(self.tensor(index).type) in ("int8", "int16"):
            return index, []
        way: list[tuple[str, np.ndarray]] = []
        is_forward = border == "QUANTIZE"
        while True:
            found = next_operator(index)
            if found is None:
                return None
            name, operator = found
            beyond = int(operator.outputs[0]) if is_forward else int(operator.inputs[0])
            if name == border:
                return beyond, way
            constant = self._constant(operator, index if is_forward else beyond) if name in _FLOAT_OPERATORS else None
            if constant is None or _activation(operator):
                return None
            way.append((name, constant))
            index = beyond

    def _constant(self, operator: Any, data: int) -> np.ndarray | None:
        first, second = (int(index) for index in operator.inputs)
        content = self._model.buffers[self.tensor(second).buffer].data
        if first != data or content is None or not len(content):
            return None
        return np.frombuffer(np.asarray(content, np.uint8).tobytes(), np.float32).astype(np.float64)

    def _consumer(self, index: int) -> tuple[str, Any] | None:
        found = [pair for pair in self.operators if index in [int(i) for i in pair[1].inputs]]
        return found[0] if len(found) == 1 else None

    def _producer(self, index: int) -> tuple[str, Any] | None:
        found = [pair for pair in self.operators if index in [int(i) for i in pair[1].outputs]]
        return found[0] if found else None

    def _keep(self, first: int, last: int) -> None:
        """Leaves only what computes tensor `last` from tensor `first`, with these two as input and output."""
        kept = self._between(first, last)
        self._graph.operators = [operator for operator in self._graph.operators if id(operator) in kept]
        self._graph.inputs, self._graph.outputs = [first], [last]
        self._drop_absent_inputs()

    def _between(self, first: int, last: int) -> set[int]:
        """Identities of the operators that compute tensor `last` from tensor `first`."""
        wanted, found = [last], set()
        while wanted:
            index = wanted.pop()
            producer = self._producer(index) if index != first else None
            if producer is not None and id(producer[1]) not in found:
                found.add(id(producer[1]))
                wanted += [int(i) for i in producer[1].inputs]
        return found


def _compose(way: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    multiplier, addend = np.ones(size), np.zeros(size)
    for name, constant in way:
        if name == "MUL":
            multiplier, addend = multiplier * constant, addend * constant
        else:
            addend = addend + constant if name == "ADD" else addend - constant
    return multiplier, addend


def _encoding(multiplier: np.ndarray, addend: np.ndarray, scale: float) -> Encoding:
    """Of x * multiplier + addend in steps of `scale`; gives back the very offset that a SUB in front of a MUL takes off."""
    offset = np.divide(-addend, multiplier, out=np.zeros_like(addend), where=multiplier != 0)
    return Encoding(offset.astype(np.float32), (multiplier / scale).astype(np.float32))


def _affine(multiplier: np.ndarray, addend: np.ndarray) -> Affine:
    return Affine(multiplier.astype(np.float32), addend.astype(np.float32))


def _activation(operator: Any) -> int:
    return int(getattr(operator.builtinOptions, "fusedActivationFunction", 0) or 0)


def _mapping(name: str, index: int) -> Any:
    mapping: Any = schema.TensorMapT()
    mapping.name, mapping.tensorIndex = name, index
    return mapping
