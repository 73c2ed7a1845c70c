"""Tests of the D4PG agent and its builder: steps by hand, learning, and TF-Agents' own machinery around them."""

import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.policies import policy_saver
from tf_agents.train import learner as tf_agents_learner
from tf_agents.trajectories import time_step
from tf_agents.trajectories import trajectory

from tfquarl.agents import agent_trainer
from tfquarl.agents.d4pg import builder
from tfquarl.agents.d4pg import d4pg_agent
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import critic_network
from tfquarl.networks import policy_network
from tfquarl.replay import transition

FIELDS = (environment_spec.ObservationField("observation", (2,), 0),)
SPEC = environment_spec.EnvironmentSpec("arm", FIELDS, action_low=(-1.0,), action_high=(3.0,))
DISCRETE = environment_spec.EnvironmentSpec("cart", FIELDS, 2)
SMALL: dict[str, Any] = {"policy_hidden_sizes": (8,), "critic_hidden_sizes": (8,), "num_atoms": 2, "v_max": 10.0}


def _trainer(**settings: Any) -> agent_trainer.AgentTrainer:
    return agent_trainer.AgentTrainer(builder.D4pgBuilder(**{**SMALL, "discount": 0.9, **settings}), SPEC, seed=1)


def _batch(discount: list[float]) -> transition.TransitionBatch:
    """Two transitions of reward 1."""
    observation = tf.constant([[1.0, 0.5], [0.5, 1.0]])
    ones = tf.ones([2])
    return transition.TransitionBatch(observation, ones[:, None], ones, tf.constant(discount), observation, ones, ones)


def _make_constant(agent: d4pg_agent.D4pgAgent) -> None:
    """The critic now tells probabilities 1/4 and 3/4 of its atoms 0 and 10, whatever it is asked."""
    for network in (agent._critic_network, agent._target_critic_network):
        for variable in network.variables:
            variable.assign(tf.zeros_like(variable))
        network.variables[-1].assign([0.0, np.log(3.0)])


# Terminal: the reward 1 is [0.9, 0.1]. Not so: atom 0 moves to 1, atom 10 to 1 + 0.9 * 10 = 10: [0.225, 0.775].
TERMINAL_LOSS = 0.9 * np.log(4) + 0.1 * np.log(4 / 3)
OTHER_LOSS = 0.225 * np.log(4) + 0.775 * np.log(4 / 3)


def test_losses_by_hand() -> None:
    trainer = _trainer()
    _make_constant(trainer.agent)
    info = trainer.agent.loss(_transition(_batch([0.0, 1.0]))).extra
    assert info.critic_loss.numpy() == pytest.approx((TERMINAL_LOSS + OTHER_LOSS) / 2, rel=1e-5)
    assert info.actor_loss.numpy() == pytest.approx(-7.5)
    entropies = [-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), -(0.225 * np.log(0.225) + 0.775 * np.log(0.775))]
    np.testing.assert_allclose(
        info.divergence.numpy(), [TERMINAL_LOSS - entropies[0], OTHER_LOSS - entropies[1]], atol=1e-5
    )


def test_what_lies_outside_of_the_support_is_told() -> None:
    trainer = _trainer()
    _make_constant(trainer.agent)
    inside = _batch([0.0, 1.0])
    beyond = inside._replace(reward=tf.constant([11.0, 1.0]))  # the first one is terminal: all of its target is 11
    assert [float(trainer.agent.loss(_transition(batch)).extra.clipped_share) for batch in (inside, beyond)] == [0, 0.5]
    assert trainer.train(inside, None)[2] is not None


def _transition(batch: transition.TransitionBatch) -> trajectory.Transition:
    from tfquarl.agents import experience

    return experience.to_transition(batch, is_discrete=False)


def test_importance_weights_weigh_the_critic_only() -> None:
    trainer = _trainer()
    _make_constant(trainer.agent)
    loss, priorities, _ = trainer.train(_batch([0.0, 1.0]), tf.constant([0.5, 0.0]))
    assert loss.numpy() == pytest.approx(0.25 * TERMINAL_LOSS - 7.5, rel=1e-5)
    assert (priorities.numpy() > 0).all()


@pytest.mark.parametrize("tau, period, share", [(0.25, 1, 0.25), (1.0, 1, 1.0), (1.0, 2, 0.0)])
def test_target_networks_follow(tau: float, period: int, share: float) -> None:
    trainer = _trainer(target_update_tau=tau, target_update_period=period)
    online = [*trainer.agent._policy_network.variables, *trainer.agent._critic_network.variables]
    target = [*trainer.agent._target_policy_network.variables, *trainer.agent._target_critic_network.variables]
    before = [variable.numpy() for variable in online]
    for old, variable in zip(before, target):
        np.testing.assert_array_equal(variable.numpy(), old)
    trainer.train(_batch([1.0, 1.0]), None)
    assert any((old != variable.numpy()).any() for old, variable in zip(before, online))
    for old, new, variable in zip(before, online, target):
        np.testing.assert_allclose(variable.numpy(), old + share * (new.numpy() - old), atol=1e-6)


def test_observation_scaling_reaches_critic_and_target() -> None:
    trainer = _trainer()
    batch = _batch([0.0, 0.0])
    before = trainer.agent.loss(_transition(batch)).extra.critic_loss.numpy()
    trainer.policy_variables["observation_scaling/scale"].assign([0.5, 0.5])
    scaled = batch._replace(observation=2 * batch.observation)
    assert trainer.agent.loss(_transition(scaled)).extra.critic_loss.numpy() == pytest.approx(before)
    trainer.train(batch, None)
    target = trainer.agent._target_policy_network.policy_variables["observation_scaling/scale"]
    np.testing.assert_array_equal(target.numpy(), [0.5, 0.5])


def test_gradients_are_clipped() -> None:
    """Under Adam with a large epsilon the first step is in proportion to the gradient, here +-0.65 in the two biases."""
    moves = []
    for clip in (None, 1e-3):
        trainer = _trainer(gradient_clip_norm=clip, adam_epsilon=100.0, critic_learning_rate=1e4)
        _make_constant(trainer.agent)
        before = trainer.agent._critic_network.variables[-1].numpy()
        trainer.train(_batch([0.0, 0.0]), None)
        moves.append(np.linalg.norm(trainer.agent._critic_network.variables[-1].numpy() - before))
    assert moves[0] == pytest.approx(moves[1] * np.hypot(0.65, 0.65) / 1e-3, rel=1e-2)


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "compiled"])
@pytest.mark.parametrize("invert_gradients", [False, True], ids=["tanh", "inverting"])
def test_finds_the_best_action(compute_dtype: str, jit_compile: bool, invert_gradients: bool) -> None:
    """A bandit that pays 10 - 2 (a - 2)^2 for action a in [-1, 3]."""
    settings: dict[str, Any] = {
        "policy_hidden_sizes": (32,),
        "critic_hidden_sizes": (32,),
        "num_atoms": 21,
        "v_min": -10.0,
        "actor_learning_rate": 3e-3,
        "critic_learning_rate": 1e-2,
    }
    trainer = _trainer(**settings, compute_dtype=compute_dtype, invert_gradients=invert_gradients)
    generator = tf.random.Generator.from_seed(0)

    def step() -> tf.Tensor:
        observation, action = generator.normal([64, 2]), generator.uniform([64, 1], -1.0, 3.0)
        reward = 10 - 2 * (action[:, 0] - 2) ** 2
        zeros = tf.zeros([64])
        batch = transition.TransitionBatch(observation, action, reward, zeros, observation, zeros, zeros)
        return trainer.train(batch, None)[0]

    train = tf.function(step, jit_compile=jit_compile or None, autograph=False)
    for _ in range(400):
        train()
    actions, _ = trainer.agent.policy_network(generator.normal([100, 2]))
    assert abs(actions.numpy().mean() - 2) < 0.25
    assert actions.numpy().std() < 0.3


def test_takes_trajectories_of_n_steps() -> None:
    """Two steps of rewards 1, 2 are one transition of reward 1 + 0.9 * 2 and discount 0.9."""
    settings = d4pg_agent.D4pgSettings(v_min=0.0, v_max=10.0, discount=0.9, n_step=2)
    agent = _agent(settings)
    observation = tf.reshape(tf.range(12.0), [2, 3, 2]) / 12
    steps = tf.fill([2, 3], time_step.StepType.MID)
    action = tf.ones([2, 3, 1])
    rewards, discounts = tf.constant([[1.0, 2.0, 9.0]] * 2), tf.ones([2, 3])
    many = trajectory.Trajectory(steps, observation, action, (), steps, rewards, discounts)
    one = _transition(
        transition.TransitionBatch(
            observation[:, 0], action[:, 0], tf.fill([2], 2.8), tf.fill([2], 0.9), observation[:, 2], None, None
        )
    )
    assert agent.train_sequence_length == 3
    np.testing.assert_allclose(agent.loss(many).loss.numpy(), agent.loss(one).loss.numpy(), rtol=1e-5)


def _agent(settings: d4pg_agent.D4pgSettings, seed: int = 0, inverts_gradients: bool = False) -> d4pg_agent.D4pgAgent:
    """An agent made without the builder, as somebody who uses TF-Agents alone would."""
    from tfquarl.agents import experience

    architecture = architecture_lib.action_architecture(SPEC, (8,))
    agent = d4pg_agent.D4pgAgent(
        experience.time_step_spec(SPEC),
        experience.action_spec(SPEC),
        policy_network.PolicyNetwork(architecture, seed, inverts_gradients=inverts_gradients),
        critic_network.CriticNetwork(architecture, (8,), 11, seed),
        tf.keras.optimizers.legacy.Adam(1e-3),
        tf.keras.optimizers.legacy.Adam(1e-3),
        settings,
        tf.Variable(0, dtype=tf.int64, name="train_step"),
    )
    agent.initialize()
    return agent


def _trajectories(agent: d4pg_agent.D4pgAgent) -> tf.data.Dataset:
    length = agent.train_sequence_length
    steps = tf.fill([4, length], time_step.StepType.MID)
    value = trajectory.Trajectory(
        steps,
        tf.random.stateless_normal([4, length, 2], [1, 2]),
        tf.zeros([4, length, 1]),
        (),
        steps,
        tf.ones([4, length]),
        tf.ones([4, length]),
    )
    return tf.data.Dataset.from_tensors((value, ())).repeat()


def test_trains_in_tf_agents_learner(tmp_path: pathlib.Path) -> None:
    agent = _agent(d4pg_agent.D4pgSettings(v_min=0.0, v_max=10.0, n_step=3))
    before = agent.policy_network.policy_variables["head/kernel"].numpy()
    learner = tf_agents_learner.Learner(
        str(tmp_path), agent.train_step_counter, agent, experience_dataset_fn=lambda: _trajectories(agent)
    )
    loss_info = learner.run(iterations=5)
    assert np.isfinite(loss_info.loss.numpy())
    assert agent.train_step_counter.numpy() == 5
    assert (agent.policy_network.policy_variables["head/kernel"].numpy() != before).any()


def test_a_checkpoint_holds_all_of_it(tmp_path: pathlib.Path) -> None:
    settings = d4pg_agent.D4pgSettings(v_min=0.0, v_max=10.0)
    first, second = _agent(settings, seed=1), _agent(settings, seed=2)
    experience, _ = next(iter(_trajectories(first)))
    for _ in range(3):
        first.train(experience)
    path = tf.train.Checkpoint(agent=first).write(str(tmp_path / "checkpoint"))
    second.train(experience)  # So that the optimizers' variables exist.
    tf.train.Checkpoint(agent=second).read(path).assert_consumed()
    for agent in (first, second):
        agent.train(experience)
    assert second.train_step_counter.numpy() == 4
    for one, other in zip(first.variables, second.variables):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("inverts_gradients", [False, True], ids=["tanh", "inverting"])
def test_its_policy_can_be_saved(tmp_path: pathlib.Path, inverts_gradients: bool) -> None:
    agent = _agent(d4pg_agent.D4pgSettings(v_min=0.0, v_max=10.0), inverts_gradients=inverts_gradients)
    policy_saver.PolicySaver(agent.policy).save(str(tmp_path))
    observation = tf.constant([[0.3, -2.0], [1.0, 5.0]])
    step = time_step.restart(observation, batch_size=2)
    want, _ = agent.policy_network(observation)
    loaded = tf.saved_model.load(str(tmp_path))
    got = loaded.action(step, ()).action
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5)


def test_collect_policy_stays_within_the_bounds() -> None:
    agent = _agent(d4pg_agent.D4pgSettings(v_min=0.0, v_max=10.0, exploration_sigma=20.0))
    step = time_step.restart(tf.zeros([1, 2]), batch_size=1)
    actions = [float(agent.collect_policy.action(step).action) for _ in range(50)]
    assert min(actions) == -1 and max(actions) == 3


def test_discrete_actions_are_refused() -> None:
    with pytest.raises(errors.ConfigError, match="cart: a deterministic policy needs continuous actions"):
        builder.D4pgBuilder().architecture(DISCRETE)


@pytest.mark.parametrize("index, num_collectors, sigma", [(0, 1, 0.2), (0, 3, 0.1), (1, 3, 0.2), (2, 3, 0.4)])
def test_sigma_ladder(index: int, num_collectors: int, sigma: float) -> None:
    config = builder.D4pgBuilder(sigma_min=0.1, sigma_max=0.4).make_exploration(index, num_collectors, 7)
    assert (config.kind, config.seed) == ("gaussian", 7)
    assert config.strength(0) == config.strength(10**6) == pytest.approx(sigma)


def test_critic_and_policy_start_from_different_seeds() -> None:
    agent = _trainer().agent
    kernels = [network.trainable_variables[0].numpy() for network in (agent._policy_network, agent._critic_network)]
    assert [kernel.shape for kernel in kernels] == [(2, 8), (3, 8)]
    assert np.abs(kernels[0] / np.sqrt(3 / 2) - kernels[1][:2]).max() > 0.1  # What the same numbers would give.


@pytest.mark.parametrize(
    ("initial_value", "value"),
    [
        pytest.param(None, 50.0, id="all atoms alike"),
        pytest.param(0.0, 5.0, id="low"),  # e^(-z / 5) on [0, 100] has the mean 5
        pytest.param(100.0, 95.0, id="high"),
    ],
)
def test_values_before_training(initial_value: float | None, value: float) -> None:
    agent = _trainer(num_atoms=1001, v_max=100.0, initial_value=initial_value).agent
    loss = agent.loss(_transition(_batch([1.0, 1.0]))).extra
    assert -loss.actor_loss.numpy() == pytest.approx(value, abs=0.5)
