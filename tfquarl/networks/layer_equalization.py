"""Hidden units measured by scales of their own before they are quantized: the same policy, with smaller rounding errors at its output.

All units of an int8 layer share the steps that its largest value needs. A relu passes a positive factor on, relu(x / s) = relu(x) / s, so
that any scale s_j of a hidden unit can be taken off its own weights where the next layer's take it back (cross-layer equalization,
arXiv 1906.04721, section 4.1):

    kernel' = kernel / s        bias' = bias / s        next_kernel' = s * next_kernel

That paper makes the ranges of both kernels alike. Here s is what makes the variance of rounding small that three tensors bring to the
next layer's sums: the unit's weights and its output, of steps w and a, grow by s_j, the next weights' own, of steps v, shrink by it:

    variance(s) * 12 = sum_j s_j^2 * (w^2 * E|x|^2 + a^2) * |next_kernel_j|^2  +  num_next * v^2 * sum_j E[unit_j^2] / s_j^2

By given steps the best s_j^2 is the root of the quotient of its two coefficients, as far as the steps reach to the unit's largest
values. Steps that are wider than the narrowest possible ones leave units more freedom, so a few are tried.
"""

from collections.abc import Mapping
import itertools
import math

import numpy as np

from tfquarl.networks import architecture as architecture_lib

# Steps of kernel and unit, in narrowest possible ones.
_WIDTHS = 4.0 ** np.arange(4)
_WEIGHT_STEPS, _ACTIVATION_STEPS = 127, 255
_NUM_OBSERVATIONS = 64  # enough to tell how large units are
# A unit's range is at least what it would reach on inputs of two standard deviations that have nothing to do with each other: it may
# be active where it was not on the few observations.
_LEAST_DEVIATIONS = 2.0


def equalize(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], observations: np.ndarray
) -> dict[str, np.ndarray]:
    """Variables of the same policy whose hidden units are quantized with less error.

    Args:
      architecture: of the policy; one of tanh layers stays as it is.
      variables: of the policy, float32 by name.
      observations: float32 [N, D], as the environment gives them; a few of them, evenly spread, are used.

    Returns:
      All variables; they stay as they are where the new ones would be huge, or a value isn't finite.
    """
    if architecture.activation != "relu":
        return dict(variables)
    changed = dict(variables)
    names = architecture.layer_names
    # One copy of each kernel, which the layer's own scales and those of the layer before are taken into.
    changed.update({f"{name}/kernel": variables[f"{name}/kernel"].copy() for name in names})
    with np.errstate(all="ignore"):
        x = observations[:: max(1, len(observations) // _NUM_OBSERVATIONS)] - variables["observation_scaling/offset"]
        x = x * variables["observation_scaling/scale"]
        for name, following in itertools.pairwise(names):
            kernel, bias, next_kernel = (
                changed[f"{name}/kernel"],
                changed[f"{name}/bias"],
                changed[f"{following}/kernel"],
            )
            units = np.maximum(x @ kernel + bias, 0)
            scales = _scales(x, kernel, units, next_kernel)
            kernel *= 1 / scales
            next_kernel *= scales[:, np.newaxis]
            changed[f"{name}/bias"] = bias / scales
            x = units / scales
        # A sum of squares is the fastest look at all values. It overflows long before they do, but no policy has such values.
        is_finite = all(math.isfinite(np.vdot(value, value)) for value in changed.values())
    return changed if is_finite else dict(variables)


def _scales(x: np.ndarray, kernel: np.ndarray, units: np.ndarray, next_kernel: np.ndarray) -> np.ndarray:
    """Scale of each unit, float32 [units], of geometric mean 1; 1 where a unit does nothing.

    Args:
      x: the layer's input [N, inputs].
      kernel: [inputs, units].
      units: the layer's output [N, units].
      next_kernel: [units, next units].
    """
    input_power = float(np.einsum("ij,ij->", x, x)) / len(x)
    power = np.einsum("ij,ij->j", units, units) / len(units)
    deviation = np.sqrt(input_power / len(kernel) * np.einsum("ij,ij->j", kernel, kernel))
    highest = np.maximum(units.max(axis=0), _LEAST_DEVIATIONS * deviation)
    largest, next_largest = _largest(kernel, 0), _largest(next_kernel, 1)
    sensitivity = np.einsum("ij,ij->i", next_kernel, next_kernel)
    scales = np.ones(len(highest), np.float32)
    is_alive = (highest > 0) & (sensitivity > 0)
    if not is_alive.any():
        return scales
    power, highest, largest, next_largest, sensitivity = (
        values[is_alive].astype(np.float64) for values in (power, highest, largest, next_largest, sensitivity)
    )
    # What counts is products of scales and steps: the next kernel's largest weight is put at 1.
    next_step = 1 / _WEIGHT_STEPS
    step = (largest * next_largest).max() / _WEIGHT_STEPS * _WIDTHS[:, np.newaxis, np.newaxis]
    unit_step = (highest * next_largest).max() / _ACTIVATION_STEPS * _WIDTHS[:, np.newaxis]
    growing = (step**2 * input_power + unit_step**2) * sensitivity
    shrinking = next_kernel.shape[1] * next_step**2 * power
    least = np.maximum(largest / (_WEIGHT_STEPS * step), highest / (_ACTIVATION_STEPS * unit_step))
    squares = np.clip(np.sqrt(shrinking / growing), least**2, 1 / next_largest**2)
    variance = (squares * growing + shrinking / squares).sum(axis=-1)
    best = 0.5 * np.log(squares[np.unravel_index(np.argmin(variance), variance.shape)])
    scales[is_alive] = np.exp(best - best.mean())
    return scales


def _largest(kernel: np.ndarray, axis: int) -> np.ndarray:
    """Largest absolute values along an axis."""
    return np.maximum(kernel.max(axis=axis), -kernel.min(axis=axis))
