"""Biases that take back what the rounding of weights adds to a layer's sums on average.

A rounded weight is off by the same number whatever the input is, and the outputs of relus have means above zero, so that the sums of a
layer are off by a part that does not vary. Biases can take it back (arXiv 1906.04721, section 4.2; its means follow from batch
normalization, these are measured):

    bias' = bias - E[x] @ (rounded kernel - kernel)

These variables are another policy until their weights are rounded: they are for the rounded model alone.
"""

from collections.abc import Mapping
import itertools

import numpy as np

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import observation_scaling
from tfquarl.quantization import affine

_NUM_OBSERVATIONS = 32  # enough for means


def correct(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], observations: np.ndarray
) -> dict[str, np.ndarray]:
    """Variables with biases for int8 kernels of one scale each.

    Args:
      architecture: of the policy.
      variables: of the policy, float32 by name.
      observations: float32 [N, D], as the environment gives them; a few of them, evenly spread, are used.

    Returns:
      All variables; they stay as they are where a new bias wouldn't be finite.
    """
    changed = dict(variables)
    activate = np.tanh if architecture.activation == "tanh" else _relu
    with np.errstate(all="ignore"):
        x = observations[:: max(1, len(observations) // _NUM_OBSERVATIONS)] - variables[observation_scaling.OFFSET]
        x = x * variables[observation_scaling.SCALE]
        for name, following in itertools.zip_longest(architecture.layer_names, architecture.layer_names[1:]):
            kernel, bias = variables[f"{name}/kernel"], variables[f"{name}/bias"]
            changed[f"{name}/bias"] = bias - _mean_error(x.mean(axis=0), kernel)
            if following is not None:
                x = activate(x @ kernel + bias)
        is_finite = all(np.isfinite(changed[f"{name}/bias"]).all() for name in architecture.layer_names)
    return changed if is_finite else dict(variables)


def _mean_error(mean: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """What rounding adds to the sums of inputs [inputs] by a kernel [inputs, units], float32 [units]."""
    largest = max(kernel.max(), -kernel.min())
    error = np.zeros(kernel.shape[1], np.float32)
    if largest == 0:
        return error
    step = largest / np.float32(affine.WEIGHT_LIMIT)
    for rows in affine.row_blocks(kernel):
        rounding = np.rint(kernel[rows] / step)
        rounding *= step
        rounding -= kernel[rows]
        error += mean[rows] @ rounding
    return error


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)
