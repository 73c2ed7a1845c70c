"""Tests of the categorical critic."""

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import critic_network

POLICY = architecture_lib.PolicyArchitecture(2, (3,), 1, "action", action_low=(-1.0,), action_high=(3.0,))


def test_logits_by_hand() -> None:
    """One hidden unit adds up the observation and ten times the action, which is scaled from [-1, 3] to [-1, 1]."""
    critic = critic_network.CriticNetwork(POLICY, (1,), 2)
    critic.create_variables()
    kernel, bias, head_kernel, head_bias = critic.trainable_variables
    kernel.assign([[1.0], [1.0], [10.0]])
    bias.assign([0.5])
    head_kernel.assign([[1.0, -2.0]])
    head_bias.assign([0.0, 7.0])
    observations, actions = tf.constant([[1.0, 2.0], [1.0, 2.0]]), tf.constant([[3.0], [-1.0]])
    logits, state = critic((observations, actions))
    # 1 + 2 + 10 * 1 + 0.5 = 13.5; 1 + 2 + 10 * -1 + 0.5 = -6.5, which the hidden unit cuts off.
    np.testing.assert_allclose(logits.numpy(), [[13.5, -20.0], [0.0, 7.0]])
    assert state == ()


def test_size_and_names_of_its_variables() -> None:
    critic = critic_network.CriticNetwork(POLICY, (4, 5), 11, name="judge")
    critic.create_variables()
    assert critic.num_atoms == 11
    assert {variable.name: tuple(variable.shape) for variable in critic.variables} == {
        "judge/dense_0/kernel:0": (3, 4),
        "judge/dense_0/bias:0": (4,),
        "judge/dense_1/kernel:0": (4, 5),
        "judge/dense_1/bias:0": (5,),
        "judge/head/kernel:0": (5, 11),
        "judge/head/bias:0": (11,),
    }


def test_a_critic_of_a_q_network_is_refused() -> None:
    with pytest.raises(ValueError, match="a critic judges continuous actions, the policy's head is 'q_values'"):
        critic_network.CriticNetwork(architecture_lib.PolicyArchitecture(2, (3,), 2, "q_values"), (3,), 11)


def test_layer_norm_by_hand() -> None:
    """Two hidden units get 1 and 5: mean 3, deviation 2, so -1 and 1; scale and offset make that 0 and 2, before the tanh."""
    critic = critic_network.CriticNetwork(POLICY, (2,), 2, layer_norm="first")
    critic.create_variables()
    variables = {variable.name.removeprefix("critic/").removesuffix(":0"): variable for variable in critic.variables}
    variables["dense_0/kernel"].assign([[1.0, 5.0], [0.0, 0.0], [0.0, 0.0]])
    variables["dense_0/layer_norm/scale"].assign([1.0, 1.0])
    variables["dense_0/layer_norm/offset"].assign([1.0, 1.0])
    variables["head/kernel"].assign([[7.0, 0.0], [1.0, -1.0]])
    logits, _ = critic((tf.constant([[1.0, 0.0]]), tf.constant([[1.0]])))
    np.testing.assert_allclose(logits.numpy(), [[np.tanh(2.0), -np.tanh(2.0)]], atol=1e-5)


def test_all_layers_normalized_by_hand() -> None:
    """The first layer's 1 and 5 become -1 and 1, the relu 0 and 1; the second's 0 and 4 become -1 and 1, and with an offset of 3, 2 and 4."""
    critic = critic_network.CriticNetwork(POLICY, (2, 2), 2, layer_norm="all")
    critic.create_variables()
    variables = {variable.name.removeprefix("critic/").removesuffix(":0"): variable for variable in critic.variables}
    variables["dense_0/kernel"].assign([[1.0, 5.0], [0.0, 0.0], [0.0, 0.0]])
    variables["dense_1/kernel"].assign([[9.0, 9.0], [0.0, 4.0]])
    variables["dense_1/layer_norm/offset"].assign([3.0, 3.0])
    variables["head/kernel"].assign([[1.0, 0.0], [0.0, 1.0]])
    logits, _ = critic((tf.constant([[1.0, 0.0]]), tf.constant([[1.0]])))
    np.testing.assert_allclose(logits.numpy(), [[2.0, 4.0]], atol=1e-5)


def test_first_logits_as_given() -> None:
    critic = critic_network.CriticNetwork(POLICY, (2,), 3, head_bias=(0.0, -1.0, -2.0))
    critic.create_variables()
    logits, _ = critic((tf.constant([[1.0, 2.0]]), tf.constant([[1.0]])))
    np.testing.assert_allclose(logits.numpy(), [[0.0, -1.0, -2.0]], atol=0.1)


def test_a_copy_is_built_alike() -> None:
    """Target networks are copies."""
    critic = critic_network.CriticNetwork(POLICY, (2,), 3, layer_norm="first", head_bias=(0.0, -1.0, -2.0))
    copy = critic.copy(name="target_critic")
    for network in (critic, copy):
        network.create_variables()
    assert [variable.shape for variable in copy.variables] == [variable.shape for variable in critic.variables]
