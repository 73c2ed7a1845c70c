"""Small policies with known behaviour."""

from collections.abc import Mapping
import dataclasses

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.environments import registry
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables

ARM_SPEC = environment_spec.EnvironmentSpec(
    "lab:arm",
    (environment_spec.ObservationField("joints", (2,), 0), environment_spec.ObservationField("grip", (), 2)),
    action_low=(-2.0, -1.0),
    action_high=(2.0, 3.0),
)


@dataclasses.dataclass(frozen=True)
class TinyPolicy:
    """A float policy with observations."""

    spec: environment_spec.EnvironmentSpec
    architecture: architecture_lib.PolicyArchitecture
    variables: Mapping[str, np.ndarray]
    observations: np.ndarray


def arm_policy() -> TinyPolicy:
    """Random weights, three features of different ranges, two bounded actions."""
    generator = np.random.default_rng(0)
    architecture = architecture_lib.action_architecture(ARM_SPEC, (16, 16))
    variables = {
        name: (value + 0.3 * generator.standard_normal(value.shape)).astype(np.float32)
        for name, value in initial_variables.initial_variables(architecture, 0).items()
    }
    variables["observation_scaling/offset"] = np.asarray([0.5, -1, 10], np.float32)
    variables["observation_scaling/scale"] = np.asarray([1, 2, 0.1], np.float32)
    observations = generator.standard_normal((256, 3)) * [1, 0.5, 10] + [0.5, -1, 10]
    return TinyPolicy(ARM_SPEC, architecture, variables, observations.astype(np.float32))


def cartpole_policy() -> TinyPolicy:
    """Balances the pole for ever: q_values are plus and minus a weighted sum of the four features."""
    spec = registry.spec("gym:CartPole-v1")
    architecture = architecture_lib.q_architecture(spec, (8, 8))
    variables = {name: np.zeros(shape, np.float32) for name, shape in architecture.variable_shapes().items()}
    variables["observation_scaling/scale"][:] = 1
    weights = np.asarray([0.1, 0.3, 2, 1], np.float32)
    variables["dense_0/kernel"][:, 0], variables["dense_0/kernel"][:, 1] = weights, -weights
    variables["dense_1/kernel"][0, 0] = variables["dense_1/kernel"][1, 1] = 1
    variables["head/kernel"][:2] = [[-1, 1], [1, -1]]
    observations = np.random.default_rng(0).uniform(-0.3, 0.3, (256, 4)).astype(np.float32)
    return TinyPolicy(spec, architecture, variables, observations)
