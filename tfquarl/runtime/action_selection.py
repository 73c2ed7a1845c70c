"""Greedy actions from a policy's outputs."""

import numpy as np

from tfquarl.core import environment_spec


def greedy(outputs: np.ndarray, spec: environment_spec.EnvironmentSpec) -> np.ndarray:
    """The actions that the policy itself prefers.

    Args:
      outputs: q_values float32 [K, num_actions] or actions float32 [K, A].
      spec: of the environment.

    Returns:
      int64 [K], the first action of largest value; or float32 [K, A], a copy of `outputs` clipped to the bounds.

    Raises:
      ValueError: outputs of another width than the spec's.
    """
    width = spec.num_actions if spec.num_actions is not None else spec.action_size
    if outputs.ndim != 2 or outputs.shape[1] != width:
        raise ValueError(f"{spec.name}: outputs have shape {outputs.shape}, the environment needs [K, {width}]")
    if spec.is_discrete:
        return outputs.argmax(axis=1)
    low, high = spec.action_bounds
    return np.clip(outputs, low, high)
