"""The TFLite flatbuffer of a policy: read with every offset checked, its tensors with the positions of their bytes.

Only what policies use is accepted: one subgraph, the operators of `OPERATORS`, constant shapes. TFLite itself follows some offsets
of altered bytes without looking, and a process that does so dies; what passes here does not get there.
Schema: tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import dataclasses
import math

import numpy as np

from tfquarl.core import errors
from tfquarl.runtime import table_reader

OPERATORS = {
    0: "ADD",
    6: "DEQUANTIZE",
    9: "FULLY_CONNECTED",
    18: "MUL",
    22: "RESHAPE",
    25: "SOFTMAX",
    28: "TANH",
    41: "SUB",
    55: "MAXIMUM",
    74: "SUM",
    114: "QUANTIZE",
}
TYPES = {0: "float32", 1: "float16", 2: "int32", 4: "int64", 7: "int16", 9: "int8"}
ACTIVATIONS = {0: "none", 1: "relu"}
MAX_TENSOR_BYTES = 1 << 30

# Type code of an operator's options in the schema's union, and their number of fields.
_OPTIONS = {
    0: (11, 2),
    6: (38, 0),
    9: (8, 6),
    18: (21, 1),
    22: (0, 0),
    25: (9, 1),
    28: (0, 0),
    41: (28, 2),
    55: (39, 0),
    74: (27, 1),
    114: (89, 0),
}
# Operators without a fused activation, whose one option has one right value: a softmax's beta, and whether a sum keeps its dimension.
_NEEDED_OPTIONS = {25: ("f", 1.0), 74: ("?", True)}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of a model.

    Attributes:
      index: its number.
      name: its name.
      shape: its shape.
      dtype: 'float32', 'int8', ...
      scales: float32 [1], or [units] where each unit has its own; empty for a tensor that isn't quantized.
      zero_points: int64, as many as scales.
      data_start: position of its constant's first byte; 0 for a tensor that is computed.
      scale_start: position of its first scale; 0 where it has none.
      zero_point_start: position of its first zero point; 0 where it has none.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    data_start: int
    scale_start: int = 0
    zero_point_start: int = 0

    @property
    def num_bytes(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def is_constant(self) -> bool:
        """Whether its values are in the file."""
        return self.data_start > 0

    def values(self, model: bytes | bytearray | memoryview) -> np.ndarray:
        """A constant's values, a view of the flatbuffer `model`; it can be written to where `model` is a bytearray."""
        if not self.is_constant:
            raise ValueError(f"tensor '{self.name}' is computed; it has no values in the file")
        return np.frombuffer(model, self.dtype, math.prod(self.shape), self.data_start).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
      name: of `OPERATORS`.
      inputs: tensor indices.
      outputs: tensor indices.
      activation: that is fused into it, 'none' or 'relu'.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str


@dataclasses.dataclass(frozen=True)
class ModelLayout:
    """What a model is made of.

    Attributes:
      tensors: by index.
      operators: in the order of execution.
      input: index of the tensor that takes the observation.
      output: index of the tensor that gives q_values or action.
      output_name: its name in the signature.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: int
    output: int
    output_name: str


def read_layout(model: bytes | bytearray | memoryview) -> ModelLayout:
    """The layout of a policy's flatbuffer.

    Args:
      model: the whole file.

    Raises:
      ArtifactError: bytes that are not a policy: truncated, altered, or with parts that policies don't use.
      RefusedModelError: scales that no kernel takes.
    """
    data = memoryview(model).cast("B")
    if bytes(data[4:8]) != b"TFL3":
        raise errors.ArtifactError(f"model: {len(data)} bytes with identifier {bytes(data[4:8])!r}, needs b'TFL3'")
    root = table_reader.TableReader(data, table_reader.read(data, "I", 0, "root"), 8, "root")
    root.forbid([5])
    if root.scalar(0, "I", 0) != 3:
        raise errors.ArtifactError(f"model: schema version {root.scalar(0, 'I', 0)}, needs 3")
    root.text(3)
    buffers = _read_buffers(root)
    _read_metadata(root, len(buffers))
    subgraphs = root.tables(2, 5, "subgraph")
    if len(subgraphs) != 1:
        raise errors.ArtifactError(f"model: {len(subgraphs)} subgraphs, needs 1")
    subgraph = subgraphs[0]
    subgraph.text(4)
    tensors = tuple(_read_tensor(i, table, buffers) for i, table in enumerate(subgraph.tables(0, 9, "tensor")))
    operators = _read_operators(root, subgraph, len(tensors))
    output_name = _read_signature(root, subgraph, len(tensors))
    return ModelLayout(tensors, operators, subgraph.numbers(1, "i")[0], subgraph.numbers(2, "i")[0], output_name)


def _read_buffers(root: table_reader.TableReader) -> list[tuple[int, int]]:
    buffers = []
    for table in root.tables(4, 1, "buffer"):
        buffers.append(table.vector(0, 1))
    if not buffers or buffers[0][1]:
        raise errors.ArtifactError("model: buffer 0 must be empty")
    return buffers


def _read_metadata(root: table_reader.TableReader, num_buffers: int) -> None:
    for table in root.tables(6, 2, "metadata"):
        table.text(0)
        _check_index(table.scalar(1, "I", 0), num_buffers, "buffer of metadata")


def _read_tensor(index: int, table: table_reader.TableReader, buffers: list[tuple[int, int]]) -> Tensor:
    what = f"tensor {index}"
    shape = table.numbers(0, "i")
    type_code, buffer, name = table.scalar(1, "b", 0), table.scalar(2, "I", 0), table.text(3)
    table.forbid([5, 6, 7])
    table.scalar(8, "?", 0)
    if type_code not in TYPES:
        raise errors.ArtifactError(f"model: {what} has type code {type_code}, needs one of {sorted(TYPES)}")
    _check_index(buffer, len(buffers), f"buffer of {what}")
    if not 1 <= len(shape) <= 2 or min(shape) < 1 or math.prod(shape) * 8 > MAX_TENSOR_BYTES:
        raise errors.ArtifactError(f"model: {what} has shape {shape}, needs one or two positive sizes")
    start, size = buffers[buffer]
    quantization = _read_quantization(table, f"{what}, '{name}',")
    tensor = Tensor(index, name, shape, TYPES[type_code], data_start=start if size else 0, **quantization)
    if size and (size != tensor.num_bytes or start % 4):
        raise errors.ArtifactError(
            f"model: {what} has {size} bytes, its shape {shape} needs {tensor.num_bytes}, aligned"
        )
    if len(tensor.scales) not in (0, 1, shape[0]) or len(tensor.zero_points) != len(tensor.scales):
        raise errors.ArtifactError(f"model: {what} has {len(tensor.scales)} scales for shape {shape}")
    return tensor


def _read_quantization(table: table_reader.TableReader, what: str) -> dict:
    quantization = table.table(4, 7, f"quantization of {what}")
    if quantization is None:
        return {"scales": (), "zero_points": ()}
    quantization.scalar(4, "B", 0)
    quantization.forbid([4, 5])
    if quantization.scalar(6, "i", 0) != 0:
        raise errors.ArtifactError(
            f"model: {what} is quantized along dimension {quantization.scalar(6, 'i', 0)}, needs 0"
        )
    minimum, maximum = quantization.numbers(0, "f"), quantization.numbers(1, "f")
    scales, zero_points = quantization.numbers(2, "f"), quantization.numbers(3, "q")
    if max(len(minimum), len(maximum)) > 1:
        raise errors.ArtifactError(f"model: {what} has {len(minimum)} minima, needs at most 1")
    if any(abs(zero) > 128 for zero in zero_points):
        raise errors.ArtifactError(f"model: {what} has zero points {zero_points[:3]}; the bytes were altered")
    if not all(1e-30 < scale < 1e30 for scale in scales):
        bad = next(scale for scale in scales if not 1e-30 < scale < 1e30)
        raise errors.RefusedModelError(
            f"model: {what} has scales of {bad:.3g}, kernels take 1e-30 to 1e+30; is the layer dead, or was it altered?"
        )
    return {
        "scales": scales,
        "zero_points": zero_points,
        "scale_start": quantization.vector(2, 4)[0],
        "zero_point_start": quantization.vector(3, 8)[0],
    }


def _read_operators(
    root: table_reader.TableReader, subgraph: table_reader.TableReader, num_tensors: int
) -> tuple[Operator, ...]:
    codes = []
    for table in root.tables(1, 4, "operator code"):
        table.forbid([1])
        code, version = max(table.scalar(0, "b", 0), table.scalar(3, "i", 0)), table.scalar(2, "i", 1)
        if code not in OPERATORS or not 1 <= version <= 16:
            raise errors.ArtifactError(f"model: operator code {code} version {version} is none that policies use")
        codes.append(code)
    operators = []
    for i, table in enumerate(subgraph.tables(3, 12, "operator")):
        table.forbid(range(5, 12))
        index = table.scalar(0, "I", 0)
        _check_index(index, len(codes), f"code of operator {i}")
        inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
        for tensor in inputs + outputs:
            _check_index(tensor, num_tensors, f"tensor of operator {i}")
        operators.append(Operator(OPERATORS[codes[index]], inputs, outputs, _read_activation(table, codes[index])))
    return tuple(operators)


def _read_activation(table: table_reader.TableReader, code: int) -> str:
    kind, num_fields = _OPTIONS[code]
    what = f"options of {OPERATORS[code]}"
    options = table.table(4, num_fields, what)
    if table.scalar(3, "B", 0) != (kind if options else 0):
        raise errors.ArtifactError(f"model: {what} are of another type")
    if code in _NEEDED_OPTIONS:
        kind, needed = _NEEDED_OPTIONS[code]
        got = None if options is None else options.scalar(0, kind, type(needed)())
        if got != needed:
            raise errors.ArtifactError(f"model: {what} are {got}, need {needed}")
        return ACTIVATIONS[0]
    if options is None or num_fields == 0:
        return ACTIVATIONS[0]
    activation = options.scalar(0, "b", 0)
    if activation not in ACTIVATIONS:
        raise errors.ArtifactError(f"model: {what} have activation {activation}, needs one of {sorted(ACTIVATIONS)}")
    if code == 9:
        options.forbid([1, 5])
    return ACTIVATIONS[activation]


def _read_signature(root: table_reader.TableReader, subgraph: table_reader.TableReader, num_tensors: int) -> str:
    signatures = root.tables(7, 5, "signature")
    if len(signatures) != 1 or signatures[0].text(2) != "serving_default" or signatures[0].scalar(4, "I", 0) != 0:
        raise errors.ArtifactError("model: needs the one signature 'serving_default'")
    names = []
    for field, indices in ((0, subgraph.numbers(1, "i")), (1, subgraph.numbers(2, "i"))):
        maps = signatures[0].tables(field, 2, "signature tensor")
        if len(maps) != 1 or len(indices) != 1 or maps[0].scalar(1, "I", 0) != indices[0]:
            raise errors.ArtifactError("model: needs one input and one output, the same ones in its signature")
        _check_index(indices[0], num_tensors, "tensor of the signature")
        names.append(maps[0].text(0))
    return names[1]


def _check_index(index: int, count: int, what: str) -> None:
    if not 0 <= index < count:
        raise errors.ArtifactError(f"model: {what} is number {index} of {count}; the bytes were altered")
