"""Agents of TF-Agents as its tutorials build them: `DqnAgent` for discrete actions, `DdpgAgent` for continuous ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.experiments import benchmark_task

SUITES = ("gym", "dm_control")
"""Suites that TF-Agents has code for."""

_EPSILON = 0.1
_LEARNING_RATE = 3e-4
_GAMMA = 0.99
# As in `benchmark_task`: neither side follows its target networks more often than the other.
_TAU, _PERIOD = benchmark_task.TARGET_UPDATE_TAU, benchmark_task.TARGET_UPDATE_PERIOD


def load_environment(name: str, seed: int | None = None) -> Any:
    """A `PyEnvironment` of TF-Agents' own suites with one flat observation, float32 [D], its fields in the order that ours have.

    Args:
      name: of the environment.
      seed: of its random numbers; None leaves them to chance.

    Raises:
      ConfigError: a task of another suite.
    """
    check_task(name)
    suite, _, task = name.partition(":")
    return _load_gym(task, seed) if suite == "gym" else _load_dm_control(task, seed)


def check_task(name: str) -> None:
    """Raises ConfigError where TF-Agents has no suite for the environment called `name`."""
    if name.partition(":")[0] not in SUITES:
        raise errors.ConfigError(
            f"TF-Agents' own collectors act in tasks of {' and '.join(SUITES)}, not in '{name}'; leave arm S out, for example by "
            "StudyConfig.arms = ('F32', 'I8')"
        )


def _load_gym(task: str, seed: int | None) -> Any:
    from tfquarl.environments import gym_suite  # first: TF-Agents imports gym, which by itself tells of its age

    # ruff: isort: split
    from gym import spaces
    from tf_agents.environments import suite_gym

    in_float32: Any = {spaces.Box: np.float32}
    environment = suite_gym.load(
        gym_suite.registered_id(task),
        gym_env_wrappers=[_without_time_limit, _with_one_flat_observation],
        spec_dtype_map=in_float32,
    )
    if seed is not None:
        environment.seed(seed)
    return environment


def _load_dm_control(task: str, seed: int | None) -> Any:
    from tf_agents.environments import suite_dm_control
    from tf_agents.environments import wrappers

    domain, _, task_in_domain = task.partition("-")
    # dm_control joins the observation itself, which is cheaper than TF-Agents' wrapper over a dictionary of parts.
    parts = suite_dm_control.load(
        domain, task_in_domain, task_kwargs={"random": seed}, environment_kwargs={"flat_observation": True}
    )
    return wrappers.FlattenObservationsWrapper(parts)


def _without_time_limit(environment: Any) -> Any:
    """A gym environment without gym's own limit of steps.

    It would tell TF-Agents that an episode which the limit ends has terminated; TF-Agents' own wrapper keeps the discount.
    """
    from gym.wrappers import time_limit

    return environment.env if isinstance(environment, time_limit.TimeLimit) else environment


def _with_one_flat_observation(environment: Any) -> Any:
    """A gym environment whose observation is a vector; TF-Agents' own wrapper takes dictionaries of one dtype alone."""
    from gym import wrappers

    is_vector = len(environment.observation_space.shape or ()) == 1
    return environment if is_vector else wrappers.FlattenObservation(environment)


def make_agent(time_step_spec: Any, action_spec: Any, hidden_sizes: tuple[int, ...]) -> Any:
    """An initialized agent of the sizes given.

    Args:
      time_step_spec: of the environment, arrays or tensors.
      action_spec: likewise.
      hidden_sizes: of the policy and, for continuous actions, of the critic.
    """
    import tensorflow as tf
    from tf_agents.specs import tensor_spec

    time_step_spec, action_spec = tensor_spec.from_spec(time_step_spec), tensor_spec.from_spec(action_spec)
    counter = tf.Variable(tf.zeros([], tf.int64))
    make = _make_dqn if action_spec.dtype.is_integer else _make_ddpg
    agent = make(time_step_spec, action_spec, hidden_sizes, counter)
    agent.initialize()
    return agent


def set_policy_weights(agent: Any, variables: Mapping[str, np.ndarray]) -> None:
    """Gives the agent's policy network the kernels and biases of `variables`, in order.

    Raises:
      ValueError: the network has others.
    """
    weights = [value for name, value in variables.items() if not name.startswith("observation_scaling/")]
    network = agent._q_network if hasattr(agent, "_q_network") else agent._actor_network  # no public names
    network.set_weights(weights)


def write_random_steps(environment: Any, observer: Any, count: int) -> None:
    """Gives an observer `count` steps of uniformly random actions, as trajectories."""
    from tf_agents.drivers import py_driver
    from tf_agents.policies import random_py_policy

    policy = random_py_policy.RandomPyPolicy(environment.time_step_spec(), environment.action_spec())
    driver = py_driver.PyDriver(environment, policy, [observer], max_steps=count)
    driver.run(environment.reset())
    observer.flush()


def _make_dqn(time_step_spec: Any, action_spec: Any, hidden_sizes: tuple[int, ...], counter: Any) -> Any:
    import tensorflow as tf
    from tf_agents.agents.dqn import dqn_agent
    from tf_agents.networks import q_network

    return dqn_agent.DqnAgent(
        time_step_spec,
        action_spec,
        q_network.QNetwork(time_step_spec.observation, action_spec, fc_layer_params=hidden_sizes),
        tf.keras.optimizers.legacy.Adam(_LEARNING_RATE),
        epsilon_greedy=_EPSILON,
        target_update_tau=_TAU,
        target_update_period=_PERIOD,
        gamma=_GAMMA,
        train_step_counter=counter,
    )


def _make_ddpg(time_step_spec: Any, action_spec: Any, hidden_sizes: tuple[int, ...], counter: Any) -> Any:
    import tensorflow as tf
    from tf_agents.agents.ddpg import actor_network
    from tf_agents.agents.ddpg import critic_network
    from tf_agents.agents.ddpg import ddpg_agent

    actor = actor_network.ActorNetwork(time_step_spec.observation, action_spec, fc_layer_params=hidden_sizes)
    critic = critic_network.CriticNetwork((time_step_spec.observation, action_spec), joint_fc_layer_params=hidden_sizes)
    return ddpg_agent.DdpgAgent(
        time_step_spec,
        action_spec,
        actor,
        critic,
        tf.keras.optimizers.legacy.Adam(_LEARNING_RATE),
        tf.keras.optimizers.legacy.Adam(_LEARNING_RATE),
        target_update_tau=_TAU,
        target_update_period=_PERIOD,
        gamma=_GAMMA,
        train_step_counter=counter,
    )
