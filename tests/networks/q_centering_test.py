"""Centered q_values: another head, the same greedy policy."""

import numpy as np

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.networks import q_centering


def _variables(architecture, seed=0):
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=shape).astype(np.float32) for name, shape in architecture.variable_shapes().items()
    }


def test_by_hand():
    architecture = architecture_lib.PolicyArchitecture(1, (1,), 2, "q_values")
    variables = _variables(architecture)
    variables["head/kernel"] = np.array([[3.0, 5.0]], np.float32)
    variables["head/bias"] = np.array([10.0, 14.0], np.float32)
    centered = q_centering.center(architecture, variables)
    np.testing.assert_array_equal(centered["head/kernel"], [[-1.0, 1.0]])
    np.testing.assert_array_equal(centered["head/bias"], [-2.0, 2.0])
    np.testing.assert_array_equal(variables["head/kernel"], [[3.0, 5.0]])


def test_differences_between_actions_stay():
    architecture = architecture_lib.PolicyArchitecture(4, (16, 8), 3, "q_values")
    variables = _variables(architecture)
    observations = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    before = numpy_policy.forward(architecture, variables, observations)["output"]
    after = numpy_policy.forward(architecture, q_centering.center(architecture, variables), observations)["output"]
    np.testing.assert_allclose(after.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(after, before - before.mean(axis=1, keepdims=True), atol=1e-4)


def test_an_action_head_is_left_alone():
    architecture = architecture_lib.PolicyArchitecture(4, (8,), 1, "action", action_low=(-1.0,), action_high=(1.0,))
    variables = _variables(architecture)
    centered = q_centering.center(architecture, variables)
    for name, value in variables.items():
        assert centered[name] is value


def test_logits_of_a_categorical_policy_by_hand():
    architecture = architecture_lib.PolicyArchitecture(1, (1,), 2, "q_values", num_atoms=2, v_min=0.0, v_max=1.0)
    variables = _variables(architecture)
    variables["head/kernel"] = np.array([[3.0, 5.0, 1.0, 9.0]], np.float32)
    variables["head/bias"] = np.array([10.0, 14.0, 0.0, 2.0], np.float32)
    centered = q_centering.center(architecture, variables)
    np.testing.assert_array_equal(centered["head/kernel"], [[-1.0, 1.0, -4.0, 4.0]])
    np.testing.assert_array_equal(centered["head/bias"], [-2.0, 2.0, -1.0, 1.0])


def test_values_of_a_categorical_policy_stay():
    architecture = architecture_lib.PolicyArchitecture(4, (16,), 3, "q_values", num_atoms=11, v_min=0.0, v_max=10.0)
    variables = _variables(architecture)
    observations = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    before = numpy_policy.forward(architecture, variables, observations)["output"]
    after = numpy_policy.forward(architecture, q_centering.center(architecture, variables), observations)["output"]
    np.testing.assert_allclose(after, before, atol=1e-4)
