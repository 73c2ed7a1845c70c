"""A policy's model as a device runs it: its bytes, how observations go in and how outputs come back."""

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.export import native_output
from tfquarl.runtime import integer_core
from tfquarl.runtime import output_tail

INPUT_NAME = "observation"
METADATA_NAME = "TFQUARL_POLICY"


@dataclasses.dataclass(frozen=True)
class EdgeModel:
    """A model for a device.

    Attributes:
      model: the flatbuffer, with the signature 'observation' -> `output_name` and metadata under `METADATA_NAME`.
      io: type of its input and output, 'float32' or 'int8'.
      output_name: 'q_values' or 'action'.
      operators: name and version of each operator, in the order of execution.
      core: its integer core, None where it computes in floats or quantizes dynamically.
      tail: what follows the core's last layer; None where there is no core.
    """

    model: bytes
    io: str
    output_name: str
    operators: tuple[tuple[str, int], ...]
    core: integer_core.IntegerCore | None
    tail: output_tail.OutputTail | None

    def encode(self, observations: np.ndarray) -> np.ndarray:
        """What the model takes, [N, D] of its input's type, for float32 observations [N, D]."""
        if self.io == "float32":
            return observations.astype(np.float32)
        core = self._integer_core()
        encoded = np.rint(core.encode(observations)) + core.input_zero_point
        return np.clip(encoded, -128, 127).astype(np.int8)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """q_values or actions, float32 [N, O], for the model's outputs [N, O]."""
        return outputs.astype(np.float32) if self.io == "float32" else self._integer_core().decode(outputs)

    def reach(self, values: np.ndarray, layer_steps: int) -> np.ndarray:
        """Output steps [N, O] by which `values` [N, O] may move where the last layer is `layer_steps` off; needs a core."""
        if self.tail is None:
            raise ValueError("a model without integer core has no steps of its last layer")
        decode = self._integer_core().decode
        integers = np.rint((values.astype(np.float64) - decode.addend) / decode.multiplier).astype(np.int64)
        return self.tail.reach(integers, layer_steps)

    def output_step(self, values: np.ndarray) -> np.ndarray:
        """How much one step of an output is, float64 [O], in units of q_values or actions.

        A model without an integer output has no steps of its own; there it is 1/255 of what `values` [N, O] range over, which
        is what an int8 output would have.
        """
        if self.core is not None:
            return np.abs(self.core.decode.multiplier.astype(np.float64))
        spread = values.max(axis=0).astype(np.float64) - values.min(axis=0)
        return np.where(spread > 0, spread, max(float(spread.max()), 1e-6)) / 255

    def _integer_core(self) -> integer_core.IntegerCore:
        if self.core is None:
            raise ValueError("the model has no integer core")
        return self.core


def make_edge_model(model: bytes, io: str, output_name: str, metadata: Mapping[str, Any]) -> EdgeModel:
    """The model that goes into a bundle.

    Args:
      model: a flatbuffer with float input and output.
      io: 'float32' keeps them; 'int8' takes the float ends off, so that the caller does what they did, by `EdgeModel.encode` and
        `EdgeModel.decode`.
      output_name: 'q_values' or 'action'.
      metadata: plain JSON values that the file shall hold.

    Raises:
      ConversionError: `io` is 'int8' and the model has no int8 core.
    """
    graph = integer_core.PolicyGraph(model)
    core = graph.find_core()
    with native_output.captured():
        tail = output_tail.TailGraph(model).read_tail()
    if io == "int8":
        if core is not None and core.dtype != "int8":
            raise errors.ConversionError(f"int8 input and output need int8 activations, the model has {core.dtype}")
        graph.cut_to_core(INPUT_NAME, output_name)
    graph.name_signature(INPUT_NAME, output_name)
    graph.set_metadata(METADATA_NAME, json.dumps(metadata, sort_keys=True).encode())
    return EdgeModel(graph.to_bytes(), io, output_name, tuple(graph.operator_versions), core, tail)
