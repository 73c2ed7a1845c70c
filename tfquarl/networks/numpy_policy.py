"""The policy network in numpy: the float reference of the converter and the parity gate, without TensorFlow."""

from collections.abc import Mapping

import numpy as np

from tfquarl.networks import architecture as architecture_lib


def forward(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], observations: np.ndarray
) -> dict[str, np.ndarray]:
    """Every intermediate value of the network, in float32.

    Args:
      architecture: of the network.
      variables: its arrays by name.
      observations: float32 [B, D].

    Returns:
      By name: 'scaled_observation' [B, D]; each hidden layer's output, 'dense_i' [B, units]; 'head' [B, head_size], before the
      tanh or the softmax; and 'output' [B, output_size], what the policy gives.
    """
    x = (observations - variables["observation_scaling/offset"]) * variables["observation_scaling/scale"]
    values = {"scaled_observation": x}
    for name in architecture.layer_names:
        x = x @ variables[f"{name}/kernel"] + variables[f"{name}/bias"]
        if name != "head":
            x = np.maximum(x, 0) if architecture.activation == "relu" else np.tanh(x)
        values[name] = x
    if architecture.head == "action":
        middle, half_range = architecture.action_scaling()
        x = middle + half_range * np.tanh(x)
    elif architecture.is_categorical:
        x = expected_values(architecture, x)
    values["output"] = x
    return values


def expected_values(architecture: architecture_lib.PolicyArchitecture, logits: np.ndarray) -> np.ndarray:
    """Means of the categorical value distributions, float32 [B, num_actions]: Q(x, a) = sum_i z_i p_i(x, a) (C51, section 4).

    Args:
      architecture: of a categorical policy.
      logits: what its head gives, [B, head_size].
    """
    logits = logits.reshape(len(logits), architecture.output_size, architecture.num_atoms)
    masses = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (masses @ architecture.atoms()) / masses.sum(axis=-1)
