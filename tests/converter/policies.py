"""Random policies, from tame to wild, for the converter's tests."""

import numpy as np

from tfquarl.networks import architecture as architecture_lib

KINDS = (
    "random",
    "zero biases",
    "some zero biases",
    "negative zero biases",
    "constant kernels",
    "zero rows",
    "zero kernels",
)


def architecture(
    head: str = "action", hidden_sizes: tuple[int, ...] = (16, 16), activation: str = "relu", high: float = 1.0
) -> architecture_lib.PolicyArchitecture:
    """An architecture with 5 observation features and 3 outputs; actions are in [-1, high], 'categorical' has 21 atoms on [0, 10]."""
    if head == "categorical":
        return architecture_lib.PolicyArchitecture(
            5, hidden_sizes, 3, "q_values", activation, num_atoms=21, v_min=0.0, v_max=10.0
        )
    bounds = ((-1.0,) * 3, (high,) * 3) if head == "action" else (None, None)
    return architecture_lib.PolicyArchitecture(5, hidden_sizes, 3, head, activation, *bounds)


def variables(
    architecture: architecture_lib.PolicyArchitecture,
    generator: np.random.Generator,
    kind: str = "random",
    spread: float = 0.3,
    scales_observations: bool = True,
) -> dict[str, np.ndarray]:
    """Variables of a policy.

    Args:
      architecture: of the policy.
      generator: of random numbers.
      kind: one of `KINDS`.
      spread: standard deviation of the natural logarithm of each variable's magnitude.
      scales_observations: whether the observation scaling differs from the identity.
    """
    result = {}
    for name, shape in architecture.variable_shapes().items():
        value = generator.standard_normal(shape) * np.exp(generator.standard_normal() * spread)
        is_chosen = generator.random() < 0.5
        if name.endswith("/kernel"):
            value /= np.sqrt(shape[0])
            if kind == "constant kernels" and is_chosen:
                value[...] = generator.standard_normal()
            elif kind == "zero rows":
                value[generator.random(shape[0]) < 0.5] = 0
            elif kind == "zero kernels" and is_chosen:
                value[...] = 0
        elif name.endswith("/bias"):
            if kind == "zero biases" or (kind == "some zero biases" and is_chosen):
                value = np.zeros(shape)
            elif kind == "negative zero biases":
                value = np.full(shape, -1e-40 if is_chosen else -0.0)
        elif not scales_observations:
            value = np.full(shape, float(name.endswith("/scale")))
        elif name.endswith("/scale"):
            value = np.exp(np.clip(value, -9, 9))
        result[name] = value.astype(np.float32)
    return result
