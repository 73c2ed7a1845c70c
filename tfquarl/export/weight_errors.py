"""What quantization does to the weights of each layer."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

import numpy as np

from tfquarl.quantization import parity
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import tensor_probe


@dataclasses.dataclass(frozen=True)
class LayerWeights:
    """The kernel of one layer, before and after.

    Attributes:
      layer: its name.
      dtype: that the file stores it in.
      exact: float32 [inputs, units].
      stored: what the file's values stand for, float32 [inputs, units].
    """

    layer: str
    dtype: str
    exact: np.ndarray
    stored: np.ndarray


@dataclasses.dataclass(frozen=True)
class WeightError:
    """The figures of one layer's kernel.

    Attributes:
      layer: its name.
      dtype: that the file stores it in.
      sqnr_db: signal to quantization noise ratio in decibels; inf where nothing is lost.
      largest: largest absolute weight, which decides the step of all of them.
      peak_to_rms: `largest` by the root mean square: a wide range has few steps left for most weights (QuaRL, section 5); 0 where
        all are zero.
      zeroed_share: share of the weights that are not zero and became zero.
    """

    layer: str
    dtype: str
    sqnr_db: float
    largest: float
    peak_to_rms: float
    zeroed_share: float


def read_weights(
    model: bytes, layout: flatbuffer.ModelLayout, variables: Mapping[str, np.ndarray]
) -> tuple[LayerWeights, ...]:
    """The kernels in a policy's flatbuffer beside the float `variables`, in the order of the layers."""
    weights = []
    for tensor in layout.tensors:
        name = tensor.name.removesuffix("/float16")
        if tensor.is_constant and name.endswith("/kernel"):
            stored = tensor_probe.real_values(tensor, tensor.values(model)).T
            weights.append(LayerWeights(name.removesuffix("/kernel"), tensor.dtype, variables[name], stored))
    return tuple(weights)


def rank(weights: Sequence[LayerWeights]) -> tuple[WeightError, ...]:
    """The figures of each layer, worst first."""
    return tuple(sorted((figures(layer) for layer in weights), key=lambda error: error.sqnr_db))


def figures(layer: LayerWeights) -> WeightError:
    """The figures of one layer."""
    largest = float(np.abs(layer.exact).max())
    rms = float(np.sqrt(np.square(layer.exact, dtype=np.float64).mean()))
    return WeightError(
        layer.layer,
        layer.dtype,
        parity.sqnr_db(layer.stored, layer.exact),
        largest,
        largest / rms if rms else 0.0,
        float(((layer.stored == 0) & (layer.exact != 0)).mean()),
    )
