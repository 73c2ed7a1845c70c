"""Q-values relative to their mean over the actions: the same greedy policy in a fraction of the range.

Q-values of one state are often large and close together. An int8 output has 256 steps for the whole range, so that the
differences, which alone decide the action, would fall within a few steps. Taking the mean over the actions off the head's
weights takes it off every output:

    q(s, a) - mean_b q(s, b) = x @ (W - mean_b W_b) + (b - mean_b b_b)

The logits of a categorical policy are what an int8 model quantizes, so theirs is the mean that goes: over the atoms of each action,
whose softmax does not change by it. The q_values stay as they are.
"""

from collections.abc import Mapping

import numpy as np

from tfquarl.networks import architecture as architecture_lib

_HEAD = ("head/kernel", "head/bias")


def center(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The variables with a head whose q_values have mean 0 over the actions; any other head is left as it is.

    Where the policy is categorical, it is the logits that have mean 0 over the atoms of each action.

    Args:
      architecture: of the policy.
      variables: float32 arrays by name.
    """
    centered = dict(variables)
    if architecture.head == "q_values":
        for name in _HEAD:
            value = variables[name].astype(np.float64)
            if architecture.is_categorical:
                value = value.reshape(*value.shape[:-1], architecture.output_size, architecture.num_atoms)
            centred = value - value.mean(axis=-1, keepdims=True)
            centered[name] = centred.reshape(variables[name].shape).astype(np.float32)
    return centered
