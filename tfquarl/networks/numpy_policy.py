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
      By name: 'scaled_observation' [B, D]; each hidden layer's output, 'dense_i' [B, units]; 'head' [B, output_size], before the
      tanh; and 'output' [B, output_size], what the policy gives.
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
    values["output"] = x
    return values
