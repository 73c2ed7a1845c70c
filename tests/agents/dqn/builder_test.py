"""Tests of the DQN builder, with the agent trainer around it."""

import collections
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.agents import agent_trainer
from tfquarl.agents.dqn import builder
from tfquarl.core import environment_spec
from tfquarl.core import errors

SPEC = environment_spec.EnvironmentSpec("test", (environment_spec.ObservationField("observation", (2,), 0),), 2)
CONTINUOUS = environment_spec.EnvironmentSpec("arm", SPEC.observation_fields, action_low=(-1.0,), action_high=(1.0,))
Batch = collections.namedtuple("Batch", "observation action reward discount next_observation")


def _batch(**changes: object) -> Batch:
    """Two transitions: from state x to state y, where Q(s, a) of `_set_q` is 10 s[0] + 20 s[1] + 100 a."""
    values = {
        "observation": [[1.0, 0.0], [0.0, 1.0]],
        "action": [[0.0], [1.0]],
        "reward": [3.0, 4.0],
        "discount": [0.5, 0.0],
        "next_observation": [[0.0, 1.0], [1.0, 0.0]],
        **changes,
    }
    return Batch(*(tf.constant(values[name], tf.float32) for name in Batch._fields))


def _linear_trainer(**settings: object) -> agent_trainer.AgentTrainer:
    """A trainer whose network is Q(s, a) = 10 s[0] + 20 s[1] + 100 a for states without negative elements."""
    trainer = agent_trainer.AgentTrainer(builder.DqnBuilder(hidden_sizes=(2,), discount=0.9, **settings), SPEC)
    values = {name: np.zeros(v.shape, np.float32) for name, v in trainer.policy_variables.items()}
    values["observation_scaling/scale"][:] = 1
    values["dense_0/kernel"][:] = np.eye(2)
    values["head/kernel"][:] = [[10, 10], [20, 20]]
    values["head/bias"][:] = [0, 100]
    for name, variable in trainer.policy_variables.items():
        variable.assign(values[name])
    trainer.agent.initialize()  # Copies them to the target network.
    return trainer


@pytest.mark.parametrize("is_double", [True, False], ids=["double", "single"])
def test_temporal_difference_errors_by_hand(is_double: bool) -> None:
    trainer = _linear_trainer(is_double=is_double)
    loss, priorities, clipped_share = trainer.train(_batch(), None)
    assert clipped_share is None  # plain values have no support
    # Q = 10, 120; targets 3 + 0.9 * 0.5 * 120 = 57 and 4 (terminated): errors 47 and -116; Huber: |error| - 0.5.
    np.testing.assert_allclose(priorities.numpy(), [47.001, 116.001], rtol=1e-5)
    assert loss.numpy() == pytest.approx((46.5 + 115.5) / 2)
    assert trainer.train_step.numpy() == 1


@pytest.mark.parametrize(
    "is_double, target", [(True, 3 + 0.45 * 20), (False, 3 + 0.45 * 120)], ids=["double", "single"]
)
def test_double_q_learning_chooses_by_the_online_network(is_double: bool, target: float) -> None:
    trainer = _linear_trainer(is_double=is_double)
    trainer.policy_variables["head/bias"].assign([0.0, -100.0])  # The online network now prefers action 0.
    _, priorities, _ = trainer.train(_batch(), None)
    assert priorities.numpy()[0] == pytest.approx(abs(target - 10) + 1e-3)


def test_importance_weights_scale_the_loss() -> None:
    loss, _, _ = _linear_trainer().train(_batch(), tf.constant([1.0, 0.0]))
    assert loss.numpy() == pytest.approx(46.5 / 2)


@pytest.mark.parametrize(
    "period, tau, share", [(1, 0.25, 0.25), (2, 1.0, 0.0), (1, 1.0, 1.0)], ids=["polyak", "not yet due", "copy"]
)
def test_target_network_follows(period: int, tau: float, share: float) -> None:
    trainer = _linear_trainer(target_update_period=period, target_update_tau=tau, learning_rate=0.1)
    before = trainer.policy_variables["head/bias"].numpy()
    trainer.train(_batch(), None)
    after = trainer.policy_variables["head/bias"].numpy()
    assert (before != after).any()
    target = trainer.agent._target_q_network.policy_variables["head/bias"].numpy()
    np.testing.assert_allclose(target, before + share * (after - before), rtol=1e-6)


def test_learns_a_bandit() -> None:
    trainer = agent_trainer.AgentTrainer(
        builder.DqnBuilder(hidden_sizes=(16,), learning_rate=0.01, target_update_period=10), SPEC, seed=1
    )
    batch = _batch(discount=[0.0, 0.0])
    step = tf.function(lambda: trainer.train(batch, None)[0], autograph=False)
    losses = [float(step()) for _ in range(300)]
    assert losses[-1] < 0.01 < losses[0]


def test_learning_rate_decays() -> None:
    trainer = _linear_trainer(learning_rate=1.0, final_learning_rate=0.0, learning_rate_decay_steps=1)
    trainer.train(_batch(), None)
    before = trainer.policy_variables["head/bias"].numpy()
    trainer.train(_batch(), None)
    np.testing.assert_array_equal(trainer.policy_variables["head/bias"].numpy(), before)


def test_same_seed_same_weights() -> None:
    first, again, other = (
        agent_trainer.AgentTrainer(builder.DqnBuilder(), SPEC, seed).policy_variables["head/kernel"].numpy()
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_starts_from_the_initial_value() -> None:
    trainer = agent_trainer.AgentTrainer(builder.DqnBuilder(initial_value=100.0, discount=0.9), SPEC)
    _, priorities, _ = trainer.train(_batch(discount=[1.0, 1.0]), None)
    # Targets are 3 + 0.9 * 100 and 4 + 0.9 * 100, by the target network.
    np.testing.assert_allclose(priorities.numpy(), [7.0, 6.0], atol=0.1)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(errors.ConfigError, match="arm: deep Q-learning needs discrete actions"):
        builder.DqnBuilder().architecture(CONTINUOUS)


@pytest.mark.parametrize("index, num_collectors, end", [(0, 1, 0.1), (0, 3, 0.1), (1, 3, 0.1**1.5), (2, 3, 0.01)])
def test_epsilon_ladder(index: int, num_collectors: int, end: float) -> None:
    config = builder.DqnBuilder(epsilon_end=0.1, epsilon_ladder=1.0, epsilon_decay_steps=300).make_exploration(
        index, num_collectors, 5
    )
    assert (config.kind, config.start, config.seed) == ("epsilon_greedy", 1.0, 5)
    assert config.end == pytest.approx(end)
    assert config.decay_steps == 300 // num_collectors
    assert config.strength(0) == 1.0 and config.strength(300) == config.end


def test_random_actions_may_be_held() -> None:
    assert builder.DqnBuilder().make_exploration(0, 1, 0).hold_exponent is None
    assert builder.DqnBuilder(epsilon_hold_exponent=1.5).make_exploration(0, 1, 0).hold_exponent == 1.5


def test_importing_a_builder_does_not_import_tensorflow() -> None:
    code = (
        "import sys, tfquarl.agents.dqn.builder, tfquarl.learner.learner_config; sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
