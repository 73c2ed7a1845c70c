"""TF-Agents' own policies around the policy network of a run: what its users collect with."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfquarl.collector import exploration as exploration_lib
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import exploration_config
from tfquarl.networks import architecture as architecture_lib


def make_policy(
    architecture: architecture_lib.PolicyArchitecture,
    exploration: exploration_config.ExplorationConfig,
    spec: environment_spec.EnvironmentSpec,
) -> tuple[Any, Any, Callable[[int], None]]:
    """A collect policy for one environment, on one thread each step one call into a `tf.function`.

    Args:
      architecture: of the network.
      exploration: `EpsilonGreedyPolicy` or `GaussianPolicy`, of this strength; where random actions are held,
        `HeldEpsilonGreedyPolicy` around a `GreedyPolicy`.
      spec: of the environment.

    Returns:
      The `PyPolicy`, its network, and what is told the number of steps so far, for the exploration's schedule.

    Raises:
      ConfigError: TF-Agents has no such exploration.
    """
    from tf_agents.policies import py_tf_eager_policy

    from tfquarl.networks import policy_network

    network = policy_network.PolicyNetwork(architecture)
    network.create_variables()
    schedule: Callable[[int], None] = _no_schedule
    if exploration.kind == exploration_config.GAUSSIAN:
        policy = _make_gaussian(network, architecture.action_scaling()[1], exploration, spec)
    elif exploration.hold_exponent is not None:
        policy = _make_greedy(network, spec)
    else:
        policy, schedule = _make_epsilon_greedy(network, exploration, spec)
    python_policy = py_tf_eager_policy.PyTFEagerPolicy(policy, use_tf_function=True)
    if exploration.hold_exponent is not None and spec.num_actions is not None:
        from tfquarl.experiments import stock_held_policy

        held = exploration_lib.make(exploration, spec)
        python_policy = stock_held_policy.HeldEpsilonGreedyPolicy(python_policy, held, spec.num_actions)
    return python_policy, network, schedule


def _make_greedy(network: Any, spec: environment_spec.EnvironmentSpec) -> Any:
    from tf_agents.policies import greedy_policy

    return greedy_policy.GreedyPolicy(_make_q_policy(network, spec))


def _make_epsilon_greedy(
    network: Any, exploration: exploration_config.ExplorationConfig, spec: environment_spec.EnvironmentSpec
) -> tuple[Any, Callable[[int], None]]:
    import tensorflow as tf
    from tf_agents.policies import epsilon_greedy_policy

    epsilon = tf.Variable(tf.constant(exploration.start, tf.float32), trainable=False, name="epsilon")

    def schedule(step: int) -> None:
        epsilon.assign(exploration.strength(step))

    return epsilon_greedy_policy.EpsilonGreedyPolicy(_make_q_policy(network, spec), epsilon=lambda: epsilon), schedule


def _make_gaussian(
    network: Any,
    half_range: np.ndarray,
    exploration: exploration_config.ExplorationConfig,
    spec: environment_spec.EnvironmentSpec,
) -> Any:
    from tf_agents.policies import actor_policy
    from tf_agents.policies import gaussian_policy

    from tfquarl.agents import experience

    if exploration.start != exploration.end:
        raise errors.ConfigError("TF-Agents' GaussianPolicy has no schedule; sigma must stay the same")
    time_steps, actions = experience.time_step_spec(spec), experience.action_spec(spec)
    deterministic = actor_policy.ActorPolicy(time_steps, actions, actor_network=network, clip=False)
    return gaussian_policy.GaussianPolicy(deterministic, scale=exploration.start * half_range, clip=True)


def _make_q_policy(network: Any, spec: environment_spec.EnvironmentSpec) -> Any:
    from tf_agents.policies import q_policy

    from tfquarl.agents import experience

    return q_policy.QPolicy(experience.time_step_spec(spec), experience.action_spec(spec), network)


def _no_schedule(step: int) -> None:
    """For explorations that stay the same, or count their own steps."""
    del step
