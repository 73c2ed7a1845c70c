"""The float weights of a policy, read back from its float32 flatbuffer."""

import numpy as np

from tfquarl.core import errors
from tfquarl.export import native_output
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.runtime import interpreter

TOLERANCE_SHARE = 1e-4


def read_variables(architecture: architecture_lib.PolicyArchitecture, model: bytes) -> dict[str, np.ndarray]:
    """Float32 arrays by the names of `PolicyArchitecture.variable_shapes`.

    Args:
      architecture: of the policy.
      model: its float32 flatbuffer, with the converter's tensor names. An observation scaling that is not in it is the identity.

    Raises:
      ArtifactError: bytes that are not a policy, or not one of this architecture.
    """
    layout = interpreter.check_structure(model)
    constants = {tensor.name: tensor for tensor in layout.tensors if tensor.is_constant}
    variables: dict[str, np.ndarray] = {}
    for name, shape in architecture.variable_shapes().items():
        if name in constants:
            values = constants[name].values(model)
            variables[name] = np.array(values.T if name.endswith("/kernel") else values)
        elif name.startswith("observation_scaling/"):
            variables[name] = np.full(shape, 1 if name.endswith("/scale") else 0, np.float32)
    try:
        architecture.check_variables(variables, "the float32 policy")
    except ValueError as error:
        raise errors.ArtifactError(f"{error}; is it the float32 model of this policy?") from error
    return variables


def check_variables(
    architecture: architecture_lib.PolicyArchitecture,
    variables: dict[str, np.ndarray],
    model: bytes,
    observations: np.ndarray,
) -> None:
    """Checks that the variables compute what the model computes.

    Args:
      architecture: of the policy.
      variables: of `read_variables`.
      model: that they were read from.
      observations: float32 [N, D].

    Raises:
      ArtifactError: they don't; the model is of another structure than the architecture's.
    """
    with native_output.captured():
        expected = interpreter.PolicyInterpreter(model, len(observations))(observations)
    got = numpy_policy.forward(architecture, variables, observations)["output"]
    error = float(np.abs(got - expected).max())
    if not error <= TOLERANCE_SHARE * max(1.0, float(np.abs(expected).max())):
        raise errors.ArtifactError(
            f"the weights read from the float32 policy give outputs that are {error:.3g} off its own"
        )
