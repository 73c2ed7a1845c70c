"""Floating-point operations that a train step can't do without: those of its matrix products, two for each multiply-add."""

from tfquarl.networks import architecture as architecture_lib


def q_learning(q_network: architecture_lib.PolicyArchitecture, batch_size: int) -> int:
    """Double Q-learning: online values of both observations, target values of the next, and one way back."""
    forward, backward = _forward(q_network), _weight_gradient(q_network) + _input_gradient(q_network)
    return batch_size * (3 * forward + backward)


def actor_critic(
    policy: architecture_lib.PolicyArchitecture, critic: architecture_lib.PolicyArchitecture, batch_size: int
) -> int:
    """One step of a deterministic policy and its critic (D4PG, DDPG).

    Targets: target policy and target critic forward. Critic: forward, and back to its weights. Policy: policy and critic forward,
    then back through the critic to the action and through the policy to its weights.

    Args:
      policy: its layers.
      critic: its layers, with observation and action as one input.
      batch_size: B.
    """
    forward = 2 * _forward(policy) + 3 * _forward(critic)
    critic_backward = _weight_gradient(critic) + _input_gradient(critic)
    to_action = _input_gradient(critic) + 2 * policy.output_size * critic.hidden_sizes[0]
    policy_backward = _weight_gradient(policy) + _input_gradient(policy)
    return batch_size * (forward + critic_backward + to_action + policy_backward)


def _products(network: architecture_lib.PolicyArchitecture) -> list[int]:
    """Multiply-adds of each layer for one observation."""
    shapes = network.variable_shapes()
    return [shapes[f"{name}/kernel"][0] * shapes[f"{name}/kernel"][1] for name in network.layer_names]


def _forward(network: architecture_lib.PolicyArchitecture) -> int:
    return 2 * sum(_products(network))


def _weight_gradient(network: architecture_lib.PolicyArchitecture) -> int:
    return 2 * sum(_products(network))


def _input_gradient(network: architecture_lib.PolicyArchitecture) -> int:
    """To the input of every layer but the first."""
    return 2 * sum(_products(network)[1:])
