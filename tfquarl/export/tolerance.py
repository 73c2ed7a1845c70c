"""How far each output may be off on another runtime: far where a tanh is steep, hardly where it is flat.

Kernels round differently, each layer by up to a step, which the layers behind it add up. That is the same on every device; what becomes
of it at the output depends on where the output is: one step before a steep tanh may be many steps behind it.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

from tfquarl.export import edge_model

# Steps of the last layer's values by which two runtimes differ at most: as many as there are layers, since each of them rounds; int8
# policies of many layers stay within 8. int16 kernels round in other places, by more of their 256 times smaller steps.
MAX_LAYER_STEPS = 8
INT16_LAYER_STEPS = 16
# No integer output: steps of 1/255 of the output's range; integer layers with a float softmax behind them differ as an int8 output would.
FLOAT_STEPS = 0.5
# Rounding goes both ways and rarely far; a kernel that computes something else is off everywhere.
MEAN_SHARE = 0.2
# However steep the tanh, an output that is off by more than this share of its range is another action.
LARGEST_SHARE = 0.25
# A step of the last layer that is more than this share of the output's range is told.
COARSE_SHARE = 0.02

_LEVELS = {"int8": 256, "int16": 65536}
_SLACK = 1e-3


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Bounds on the differences between two runtimes.

    Attributes:
      steps: float64 [N, O], output steps by which each output may be off.
      layer_steps: steps of the last layer's values that they stand for; None where it has none, or the user gave output steps.
    """

    steps: np.ndarray
    layer_steps: int | None

    @property
    def mean(self) -> float:
        """Output steps that outputs may be off in the mean."""
        return MEAN_SHARE * float(self.steps.mean())

    def to_json(self) -> dict[str, Any]:
        """Its range and its origin as plain JSON values."""
        return {
            "layer_steps": self.layer_steps,
            "smallest_steps": float(self.steps.min()),
            "largest_steps": float(self.steps.max()),
            "mean_steps": self.mean,
        }

    def shares(self, differences: np.ndarray) -> np.ndarray:
        """`differences` in output steps, [N, O], as shares of what is allowed; at most 1 where all is well, or not a number."""
        return differences / (self.steps + _SLACK)

    def accepts(self, differences: np.ndarray) -> bool:
        """Whether outputs that are so many output steps off, [N, O], pass; not-a-numbers don't."""
        return bool(np.all(self.shares(differences) <= 1) and differences.mean() <= self.mean + _SLACK)

    def at(self, rows: np.ndarray) -> "Tolerance":
        """The bounds for some of the outputs, by their numbers."""
        return Tolerance(self.steps[rows], self.layer_steps)


def make_tolerance(model: edge_model.EdgeModel, values: np.ndarray, given: float | None = None) -> Tolerance:
    """Bounds for q_values or actions `values` [N, O] of `model`, or `given` output steps for all of them."""
    if given is not None:
        return Tolerance(np.full(values.shape, given, np.float64), None)
    if model.core is None or model.tail is None:
        is_quantized = "QUANTIZE" in dict(model.operators)
        return Tolerance(np.full(values.shape, MAX_LAYER_STEPS if is_quantized else FLOAT_STEPS, np.float64), None)
    layers = max(1, model.tail.num_layers)
    layer_steps = min(MAX_LAYER_STEPS, layers) if model.core.dtype == "int8" else INT16_LAYER_STEPS
    steps = model.reach(values, layer_steps) + model.tail.num_operators  # which round too
    return Tolerance(np.minimum(steps, LARGEST_SHARE * _LEVELS[model.core.dtype]).astype(np.float64), layer_steps)


def coarseness(model: edge_model.EdgeModel, values: np.ndarray) -> dict[str, Any] | None:
    """How coarse the output is where the policy acts.

    Args:
      model: it.
      values: q_values or actions that it gave, [N, O].

    Returns:
      'output_steps_of_a_layer_step': that one step of the last layer is at most; 'share_of_range': the same; 'note': what to say of it,
      '' where it is little. None without a core.
    """
    if model.core is None:
        return None
    steps, levels = int(model.reach(values, 1).max()), _LEVELS[model.core.dtype]
    note = (
        f"Coarse: where the policy acts, one step of its last layer is up to {steps} of the output's {levels:,} steps, {steps / levels:.1%} "
        "of their range. It has few actions there, and a device that rounds otherwise is off by as much; 16-bit activations "
        "(static_wi8_ai16) are finer."
    )
    return {
        "output_steps_of_a_layer_step": steps,
        "share_of_range": steps / levels,
        "note": note if steps > COARSE_SHARE * levels else "",
    }


def describe(limits: Mapping[str, Any]) -> str:
    """`Tolerance.to_json` as a sentence."""
    smallest, largest, mean = (f"{limits[f'{name}_steps']:.3g}" for name in ("smallest", "largest", "mean"))
    steps = largest if smallest == largest else f"{smallest} to {largest}"
    reason = f", what {limits['layer_steps']} steps of the last layer's values do" if limits["layer_steps"] else ""
    return f"Runtimes may differ by {steps} output steps{reason}, and by {mean} in the mean."
