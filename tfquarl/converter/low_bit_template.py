"""A compiled policy whose constants are rewritten for each snapshot by the low-bit arithmetic, not by TFLiteConverter's.

TFLiteConverter ignores how many bits a network was trained with, so that its file only lends the structure: a static int8 policy.
"""

from collections.abc import Mapping

import numpy as np

from tfquarl.core import errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import low_bit_policy
from tfquarl.quantization import bit_widths
from tfquarl.quantization import low_bit
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import low_bit_graph

_LOWEST_INPUT, _LOWEST_OUTPUT = "observation/lowest", "output/lowest"


class LowBitTemplate:
    """Writes snapshots into a copy of a flatbuffer: weights, biases, scales, zero points and clamps at known positions."""

    def __init__(
        self, model: bytes, architecture: architecture_lib.PolicyArchitecture, widths: bit_widths.BitWidths
    ) -> None:
        """Rebuilds the model for its widths and finds the positions.

        Args:
          model: a policy of this architecture by recipe static_wi8_ai8 and the reference path.
          architecture: of the policy.
          widths: of the policy.
        """
        self._architecture, self._widths = architecture, widths
        self._model = _rebuild(model, architecture, widths)
        layout = flatbuffer.read_layout(self._model)
        self._tensors = {tensor.name: tensor for tensor in layout.tensors}
        quantize = next(o for o in layout.operators if o.name == "QUANTIZE")
        self._source = layout.tensors[quantize.outputs[0]]

    def write(
        self,
        variables: Mapping[str, np.ndarray],
        observations: np.ndarray | None,
        ranges: Mapping[str, low_bit.Range],
    ) -> bytes:
        """The flatbuffer of a snapshot.

        Args:
          variables: of the policy, float32 by name.
          observations: for calibration, float32 [N, D]; not looked at where there are `ranges`.
          ranges: of each activation, by the names of `low_bit_policy.range_names`; empty to take them from the observations.

        Raises:
          NumericalError: a range that is not finite, or missing, by name.
        """
        if not ranges:
            if observations is None:
                raise ValueError("a policy without ranges needs observations for calibration")
            ranges = low_bit_policy.observed_ranges(self._architecture, variables, observations)
        for name in low_bit_policy.range_names(self._architecture):
            if not np.isfinite(ranges.get(name, np.inf)).all():
                raise errors.NumericalError(f"the range of '{name}' is {ranges.get(name, 'missing')}")
        model = bytearray(self._model)
        for name in ("observation_scaling/offset", "observation_scaling/scale"):
            if name in self._tensors:
                self._tensors[name].values(model)[...] = variables[name]
        layers = low_bit_policy.layers(self._architecture, variables, ranges, self._widths)
        self._write_grid(model, self._source, layers[0].source)
        for layer in layers:
            self._write_layer(model, layer)
        self._write_lowest(model, _LOWEST_INPUT, layers[0].source)
        self._write_lowest(model, _LOWEST_OUTPUT, layers[-1].output)
        return bytes(model)

    def _write_layer(self, model: bytearray, layer: low_bit_policy.LowBitLayer) -> None:
        kernel, bias = (self._tensors[f"{layer.name}/{part}"] for part in ("kernel", "bias"))
        kernel.values(model)[...] = layer.kernel.T
        bias.values(model)[...] = layer.bias
        count = len(kernel.scales)
        _floats(model, kernel.scale_start, count)[...] = layer.scales[:count]
        _floats(model, bias.scale_start, count)[...] = layer.source.scale * layer.scales[:count]
        self._write_grid(model, self._tensors[layer.name], layer.output)

    def _write_grid(self, model: bytearray, tensor: flatbuffer.Tensor, grid: low_bit.Grid) -> None:
        _floats(model, tensor.scale_start, 1)[...] = grid.scale
        np.frombuffer(model, "<i8", 1, tensor.zero_point_start)[...] = grid.zero_point

    def _write_lowest(self, model: bytearray, name: str, grid: low_bit.Grid) -> None:
        if name in self._tensors:
            self._tensors[name].values(model)[...] = np.float32(grid.lowest) * grid.scale


def _rebuild(model: bytes, architecture: architecture_lib.PolicyArchitecture, widths: bit_widths.BitWidths) -> bytes:
    """The structure that these widths need."""
    graph = low_bit_graph.LowBitGraph(model)
    if widths.per_channel:
        for layer in architecture.layer_names:
            graph.set_unit_scales(f"{layer}/kernel")
            graph.set_unit_scales(f"{layer}/bias")
    if widths.inputs < bit_widths.MAX_BITS:
        graph.clamp_below(graph.quantized_input(), _LOWEST_INPUT, "clamped_observation")
    if architecture.activation == "tanh" and widths.activations < bit_widths.MAX_BITS:
        for layer in architecture.layer_names[:-1]:
            _coarsen(graph, layer, widths.activations)
    if widths.outputs < bit_widths.MAX_BITS:
        if architecture.head == "action":
            _coarsen(graph, "head", widths.outputs)
        else:
            graph.rename(architecture.head, f"unclamped_{architecture.head}")
            graph.clamp_below(f"unclamped_{architecture.head}", _LOWEST_OUTPUT, architecture.head)
    return graph.pack()


def _coarsen(graph: low_bit_graph.LowBitGraph, layer: str, bits: int) -> None:
    """Gives the tanh of `layer` fewer bits."""
    graph.requantize(f"{layer}/tanh", float(low_bit_policy.tanh_grid(bits).scale), f"{layer}/tanh/{bits}_bits")


def _floats(model: bytearray, start: int, count: int) -> np.ndarray:
    """A view of `count` float32 values at `start`."""
    return np.frombuffer(model, "<f4", count, start)
