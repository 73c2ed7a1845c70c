"""Tests of the TensorFlow policy network and of the first weights."""

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.networks import numpy_policy
from tfquarl.networks import policy_network

Q = architecture_lib.PolicyArchitecture(3, (5, 4), 2, "q_values")
ACTION = architecture_lib.PolicyArchitecture(3, (6,), 2, "action", "tanh", (-1.0, 0.0), (1.0, 10.0))
CATEGORICAL = architecture_lib.PolicyArchitecture(3, (5, 4), 2, "q_values", num_atoms=7, v_min=-3.0, v_max=5.0)


def _variables(architecture: architecture_lib.PolicyArchitecture) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        name: generator.normal(size=shape).astype(np.float32) for name, shape in architecture.variable_shapes().items()
    }


@pytest.mark.parametrize("architecture", [Q, ACTION, CATEGORICAL], ids=["q_values", "action", "categorical"])
class TestPolicyNetwork:
    def test_computes_what_the_numpy_policy_computes(self, architecture: architecture_lib.PolicyArchitecture) -> None:
        variables = _variables(architecture)
        network = policy_network.PolicyNetwork(architecture)
        network.assign(variables, "test")
        observations = np.random.default_rng(2).normal(size=(7, 3)).astype(np.float32)
        output, state = network(observations)
        assert state == ()
        want = numpy_policy.forward(architecture, variables, observations)["output"]
        np.testing.assert_allclose(output.numpy(), want, rtol=1e-5, atol=1e-5)

    def test_variables_have_the_architectures_names_order_and_shapes(
        self, architecture: architecture_lib.PolicyArchitecture
    ) -> None:
        network = policy_network.PolicyNetwork(architecture)
        shapes = {name: tuple(v.shape) for name, v in network.policy_variables.items()}
        assert list(shapes.items()) == list(architecture.variable_shapes().items())

    def test_a_copy_starts_alike_and_shares_nothing(self, architecture: architecture_lib.PolicyArchitecture) -> None:
        network = policy_network.PolicyNetwork(architecture, seed=3)
        other = network.copy(name="other")
        for name, variable in network.policy_variables.items():
            np.testing.assert_array_equal(variable.numpy(), other.policy_variables[name].numpy())
            variable.assign_add(tf.ones_like(variable))
            assert np.all(variable.numpy() - other.policy_variables[name].numpy() > 0.5)

    def test_observation_scaling_is_not_trained(self, architecture: architecture_lib.PolicyArchitecture) -> None:
        network = policy_network.PolicyNetwork(architecture)
        network.create_variables()
        assert len(network.trainable_variables) == 2 * len(architecture.layer_names)
        assert len(network.non_trainable_variables) == 2

    def test_bfloat16_products_are_near(self, architecture: architecture_lib.PolicyArchitecture) -> None:
        variables = _variables(architecture)
        network = policy_network.PolicyNetwork(architecture, compute_dtype="bfloat16")
        network.assign(variables, "test")
        observations = np.random.default_rng(2).normal(size=(7, 3)).astype(np.float32)
        output, _ = network(observations)
        assert output.dtype == tf.float32
        want = numpy_policy.forward(architecture, variables, observations)["output"]
        np.testing.assert_allclose(output.numpy(), want, atol=0.1 * np.abs(want).max())

    @pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "dtype"])
    def test_assign_refuses(self, architecture: architecture_lib.PolicyArchitecture, fault: str) -> None:
        variables = _variables(architecture)
        kernel = variables["head/kernel"]
        if fault == "missing":
            del variables["head/kernel"]
        elif fault == "unknown":
            variables["tail/kernel"] = kernel
        else:
            variables["head/kernel"] = kernel.T if fault == "shape" else kernel.astype(np.float64)
        network = policy_network.PolicyNetwork(architecture)
        before = network.policy_variables["head/kernel"].numpy().copy()
        with pytest.raises(ValueError, match=r"snapshot 7: .*(head|tail)/kernel"):
            network.assign(variables, "snapshot 7")
        np.testing.assert_array_equal(network.policy_variables["head/kernel"].numpy(), before)


def test_unknown_compute_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="compute_dtype is 'int8'"):
        policy_network.PolicyNetwork(Q, compute_dtype="int8")


def test_first_weights() -> None:
    architecture = architecture_lib.PolicyArchitecture(50, (400,), 3, "q_values")
    first = initial_variables.initial_variables(architecture, 4)
    architecture.check_variables(first, "test")
    assert np.std(first["dense_0/kernel"]) == pytest.approx(np.sqrt(2 / 50), rel=0.02)
    assert 0 < np.abs(first["head/kernel"]).max() <= 3e-3
    assert not first["dense_0/bias"].any() and (first["observation_scaling/scale"] == 1).all()
    optimistic = initial_variables.initial_variables(architecture, 4, head_bias=100.0)
    assert optimistic["head/bias"].tolist() == [100.0] * 3 and not optimistic["dense_0/bias"].any()
    again, other = (initial_variables.initial_variables(architecture, seed) for seed in (4, 5))
    np.testing.assert_array_equal(first["dense_0/kernel"], again["dense_0/kernel"])
    assert (first["dense_0/kernel"] != other["dense_0/kernel"]).any()
