"""The first weights of a policy network, drawn by numpy: the same for one seed wherever they are drawn."""

import numpy as np

from tfquarl.networks import architecture as architecture_lib

_HEAD_LIMIT = 3e-3


def he_normal(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A kernel [inputs, units] of normal numbers with variance 2 / inputs (He et al., arXiv 1502.01852, eq. 10)."""
    return (generator.standard_normal(shape) * np.sqrt(2.0 / shape[0])).astype(np.float32)


def head_uniform(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A kernel [inputs, units] uniform in [-0.003, 0.003], so that first outputs are near zero (DDPG, arXiv 1509.02971, 7)."""
    return generator.uniform(-_HEAD_LIMIT, _HEAD_LIMIT, shape).astype(np.float32)


def initial_variables(
    architecture: architecture_lib.PolicyArchitecture, seed: int, head_bias: float = 0.0
) -> dict[str, np.ndarray]:
    """Float32 arrays by the names of `PolicyArchitecture.variable_shapes`.

    Observation scaling is the identity, biases are zero but for the head's, hidden kernels `he_normal`, the head's kernel `head_uniform`.

    Args:
      architecture: of the network.
      seed: of the kernels, 0 or more.
      head_bias: every bias of the head, which is about what the head gives at first.
    """
    generator = np.random.default_rng(seed)
    variables: dict[str, np.ndarray] = {}
    for name, shape in architecture.variable_shapes().items():
        if name.endswith("/kernel"):
            draw = head_uniform if name == "head/kernel" else he_normal
            variables[name] = draw(generator, (shape[0], shape[1]))
        else:
            variables[name] = (np.ones if name.endswith("/scale") else np.zeros)(shape, np.float32)
    variables["head/bias"][:] = head_bias
    return variables
