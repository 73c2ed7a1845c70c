"""Which layer of a quantized policy loses how much, on real observations.

The policy is run with all its values kept, and each result q is set against two float ones: what the float policy has there, and what
this layer alone would give in float on the values that it got. Their difference is the layer's own error; put into the float policy,
where nothing else is quantized, it shows what the layer costs at the output.
"""

from collections.abc import Sequence
import dataclasses

import numpy as np

from tfquarl.export import float_graph
from tfquarl.quantization import parity
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import tensor_probe


@dataclasses.dataclass(frozen=True)
class LayerValues:
    """What one quantized tensor should hold and what it holds.

    Attributes:
      number: of the operator that gives it, in the policy's chain; -1 for the input.
      operation: name of that operator, 'INPUT' for the input.
      tensor: it.
      float_policy: its values in the float policy, float32 [N, size].
      expected: what float arithmetic makes of the operator's actual input, float32 [N, size].
      got: what it holds, float32 [N, size].
    """

    number: int
    operation: str
    tensor: flatbuffer.Tensor
    float_policy: np.ndarray
    expected: np.ndarray
    got: np.ndarray

    @property
    def limits(self) -> tuple[float, float] | None:
        """The numbers at both ends of its integers; None where it is a float."""
        if not self.tensor.scales:
            return None
        scale, zero_point, ends = self.tensor.scales[0], self.tensor.zero_points[0], np.iinfo(self.tensor.dtype)
        return scale * (ends.min - zero_point), scale * (ends.max - zero_point)


@dataclasses.dataclass(frozen=True)
class LayerError:
    """The figures of one layer. Ratios are of signal to quantization noise, in decibels; inf where nothing is lost.

    Attributes:
      name: of the tensor.
      operation: that gives it.
      sqnr_db: against the float policy, with all that the layers before have lost.
      own_sqnr_db: of this layer alone, on the values that it got.
      output_sqnr_db: at the policy's output, if only this layer's own error is made.
      range_used: share of the range of its integers that the observations use; None where it is a float.
      saturation_share: share of the values that lie at an end of the integers and belong more than a step beyond it; None likewise.
    """

    name: str
    operation: str
    sqnr_db: float
    own_sqnr_db: float
    output_sqnr_db: float
    range_used: float | None
    saturation_share: float | None


def read_values(graph: float_graph.FloatGraph, model: bytes, observations: np.ndarray) -> tuple[LayerValues, ...]:
    """The values of every quantized tensor and every layer's result, in the order of execution.

    Args:
      graph: of `model`, with float weights.
      model: the policy's flatbuffer.
      observations: float32 [N, D].

    Raises:
      ArtifactError: bytes that are not a policy or that the runtime refuses.
    """
    probed = list(tensor_probe.probe(model, observations).values())
    operations = ["INPUT", *[operator.name for operator in graph.operators]]
    results = []
    for place, (operation, exact) in enumerate(zip(operations, graph.run(observations), strict=True)):
        tensor, got = probed[place].tensor, probed[place].real
        if tensor.scales or operation == "FULLY_CONNECTED":
            expected = exact if place == 0 else graph.apply(place - 1, probed[place - 1].real)
            results.append(LayerValues(place - 1, operation, tensor, exact, expected, got))
    return tuple(results)


def rank(graph: float_graph.FloatGraph, layers: Sequence[LayerValues], is_choice: bool) -> tuple[LayerError, ...]:
    """The figures of each layer, first the one that costs most at the output.

    Args:
      graph: of the policy, with float weights.
      layers: of `read_values`.
      is_choice: whether outputs are compared with one another, as q_values are: then what all of an observation's outputs have in
        common counts neither as signal nor as noise.
    """
    figures = [_figures(graph, layer, is_choice) for layer in layers]
    return tuple(sorted(figures, key=lambda error: (error.output_sqnr_db, error.own_sqnr_db)))


def _figures(graph: float_graph.FloatGraph, layer: LayerValues, is_choice: bool) -> LayerError:
    exact = graph.run(layer.float_policy, layer.number + 1)[-1]
    disturbed = graph.run(layer.float_policy + (layer.got - layer.expected), layer.number + 1)[-1]
    if is_choice and exact.shape[1] > 1:
        exact, disturbed = (values - values.mean(axis=1, keepdims=True) for values in (exact, disturbed))
    used, saturated = _range(layer)
    return LayerError(
        layer.tensor.name,
        layer.operation,
        parity.sqnr_db(layer.got, layer.float_policy),
        parity.sqnr_db(layer.got, layer.expected),
        parity.sqnr_db(disturbed, exact),
        used,
        saturated,
    )


def _range(layer: LayerValues) -> tuple[float | None, float | None]:
    if layer.limits is None:
        return None, None
    low, high = layer.limits
    step = layer.tensor.scales[0]
    inside = np.clip(layer.expected, low, high)
    # A relu's zeros lie at the lower end without a loss, and a tanh of nearly 1 is off by the usual step at most.
    is_beyond = (layer.expected < low - step) | (layer.expected > high + step)
    return float(inside.max() - inside.min()) / (high - low), float(is_beyond.mean())
