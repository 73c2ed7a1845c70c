"""TF-Agents' own policies around the policy network of a run: what its users collect with."""

from typing import Any

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import exploration_config
from tfquarl.networks import architecture as architecture_lib


def make_policy(
    architecture: architecture_lib.PolicyArchitecture,
    exploration: exploration_config.ExplorationConfig,
    spec: environment_spec.EnvironmentSpec,
) -> tuple[Any, Any, Any]:
    """A collect policy for one environment, on one thread each step one call into a `tf.function`.

    Args:
      architecture: of the network.
      exploration: `EpsilonGreedyPolicy` or `GaussianPolicy`, of this strength.
      spec: of the environment.

    Returns:
      The `PyTFEagerPolicy`, its network, and the variable that holds the strength of the exploration.

    Raises:
      ConfigError: TF-Agents has no such exploration.
    """
    import tensorflow as tf
    from tf_agents.policies import actor_policy
    from tf_agents.policies import epsilon_greedy_policy
    from tf_agents.policies import gaussian_policy
    from tf_agents.policies import py_tf_eager_policy
    from tf_agents.policies import q_policy

    from tfquarl.agents import experience
    from tfquarl.networks import policy_network

    if exploration.hold_exponent is not None:
        raise errors.ConfigError(
            f"hold_exponent is {exploration.hold_exponent}: TF-Agents has no policy that holds random actions, so that this task has no "
            f"baseline; leave it out of all arms to compare them"
        )
    network = policy_network.PolicyNetwork(architecture)
    network.create_variables()
    time_steps, actions = experience.time_step_spec(spec), experience.action_spec(spec)
    strength = tf.Variable(tf.constant(exploration.start, tf.float32), trainable=False, name="strength")
    if exploration.kind == exploration_config.EPSILON_GREEDY:
        greedy = q_policy.QPolicy(time_steps, actions, network)
        policy = epsilon_greedy_policy.EpsilonGreedyPolicy(greedy, epsilon=lambda: strength)
    else:
        if exploration.start != exploration.end:
            raise errors.ConfigError("TF-Agents' GaussianPolicy has no schedule; sigma must stay the same")
        _, half_range = architecture.action_scaling()
        deterministic = actor_policy.ActorPolicy(time_steps, actions, actor_network=network, clip=False)
        policy = gaussian_policy.GaussianPolicy(deterministic, scale=exploration.start * half_range, clip=True)
    return py_tf_eager_policy.PyTFEagerPolicy(policy, use_tf_function=True), network, strength
