"""Tests of tfquarl/experiments/train_step_flops.py."""

from tfquarl.experiments import train_step_flops
from tfquarl.networks import architecture


def test_q_learning_by_hand():
    # Multiply-adds: 3 * 5 + 5 * 2 = 25. Three times forward, once to the weights, once to the second layer's input.
    network = architecture.PolicyArchitecture(3, (5,), 2, "q_values")
    assert train_step_flops.q_learning(network, 1) == 2 * (3 * 25 + 25 + 10)
    assert train_step_flops.q_learning(network, 8) == 8 * 220


def test_actor_critic_by_hand():
    # Policy 3 -> 5 -> 2: 15 + 10. Critic 5 -> 7 -> 4: 35 + 28.
    policy = architecture.PolicyArchitecture(3, (5,), 2, "action", action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
    critic = architecture.PolicyArchitecture(5, (7,), 4, "q_values")
    forward = 2 * 25 + 3 * 63
    critic_backward = 63 + 28
    to_action = 28 + 2 * 7
    policy_backward = 25 + 10
    expected = 2 * (forward + critic_backward + to_action + policy_backward)
    assert train_step_flops.actor_critic(policy, critic, 1) == expected
