"""Tests of categorical DQN, by the builder and with the agent trainer around it, against numbers computed by hand."""

import collections
import math

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.agents import agent_trainer
from tfquarl.agents.dqn import builder
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.networks import quantization_aware
from tfquarl.quantization import bit_widths

SPEC = environment_spec.EnvironmentSpec("test", (environment_spec.ObservationField("observation", (2,), 0),), 2)
Batch = collections.namedtuple("Batch", "observation action reward discount next_observation")
# Probabilities of the returns 0, 1 and 2: of action 0, whose mean is 0.75, and of action 1, whose mean is 1.25.
LOW, HIGH = (0.5, 0.25, 0.25), (0.25, 0.25, 0.5)
MIN_PRIORITY = 1e-3


def _batch(reward: float = 0.5, discount: float = 0.5, action: float = 0.0) -> Batch:
    """One transition, and one with action 1 and reward 2 that terminates."""
    values = [[[1, 0], [0, 1]], [[action], [1]], [reward, 2], [discount, 0], [[0, 1], [1, 0]]]
    return Batch(*(tf.constant(value, tf.float32) for value in values))


def _trainer(**settings: object) -> agent_trainer.AgentTrainer:
    """Online and target network give the distributions LOW and HIGH in every state."""
    settings = {"hidden_sizes": (2,), "discount": 1.0, "num_atoms": 3, "v_max": 2.0, **settings}
    trainer = agent_trainer.AgentTrainer(builder.DqnBuilder(**settings), SPEC)
    trainer.policy_variables["head/kernel"].assign(tf.zeros([2, 6]))
    trainer.policy_variables["head/bias"].assign(np.log([*LOW, *HIGH]))
    trainer.agent.initialize()  # Copies them to the target network.
    return trainer


def _cross_entropy(target: tuple[float, ...], probabilities: tuple[float, ...]) -> float:
    return -sum(m * math.log(p) for m, p in zip(target, probabilities))


def _divergence(target: tuple[float, ...], probabilities: tuple[float, ...]) -> float:
    return sum(m * math.log(m / p) for m, p in zip(target, probabilities) if m > 0)


@pytest.mark.parametrize(
    "transition, gamma, target",
    [
        # The greedy next action is 1. Its returns 0, 1, 2 become 0.5, 1, 1.5 and their masses move to the atoms beside.
        ({"reward": 0.5, "discount": 0.5}, 1.0, (0.125, 0.625, 0.25)),
        # Two steps of reward 0.5 arrive as 0.5 + 0.5 * 0.5 with discount 0.5^(2 - 1): returns become 0.75, 1, 1.25.
        ({"reward": 0.75, "discount": 0.5}, 0.5, (0.0625, 0.8125, 0.125)),
        ({"reward": 0.0, "discount": 1.0}, 1.0, HIGH),
        ({"reward": 9.0, "discount": 1.0}, 1.0, (0.0, 0.0, 1.0)),
    ],
    ids=["one step", "two steps", "nothing moves", "beyond v_max"],
)
def test_loss_and_priorities_by_hand(transition: dict, gamma: float, target: tuple[float, ...]) -> None:
    loss, priorities, clipped_share = _trainer(discount=gamma).train(_batch(**transition), None)
    assert float(clipped_share) == (0.5 if transition["reward"] == 9.0 else 0.0)  # all of one of the two
    terminated = (0.0, 0.0, 1.0)
    losses = _cross_entropy(target, LOW), _cross_entropy(terminated, HIGH)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)
    want = [_divergence(target, LOW) + MIN_PRIORITY, _divergence(terminated, HIGH) + MIN_PRIORITY]
    np.testing.assert_allclose(priorities.numpy(), want, rtol=1e-4)


@pytest.mark.parametrize("is_double, target", [(True, LOW), (False, HIGH)], ids=["double", "single"])
def test_double_q_learning_chooses_by_the_online_network(is_double: bool, target: tuple[float, ...]) -> None:
    trainer = _trainer(is_double=is_double)
    trainer.policy_variables["head/bias"].assign(np.log([*HIGH, *LOW]))  # The online network now prefers action 0.
    _, priorities, _ = trainer.train(_batch(reward=0.0, discount=1.0), None)
    assert priorities.numpy()[0] == pytest.approx(_divergence(target, HIGH) + MIN_PRIORITY, rel=1e-4, abs=1e-5)


def test_importance_weights_scale_the_loss_and_not_the_priorities() -> None:
    _, plain, _ = _trainer().train(_batch(), None)
    loss, priorities, _ = _trainer().train(_batch(), tf.constant([0.0, 0.5]))
    assert float(loss) == pytest.approx(0.25 * _cross_entropy((0.0, 0.0, 1.0), HIGH))
    np.testing.assert_array_equal(priorities.numpy(), plain.numpy())


def test_rewards_are_scaled_before_they_move_the_atoms() -> None:
    _, scaled, _ = _trainer(reward_scale=0.25).train(_batch(reward=2.0), None)
    _, plain, _ = _trainer().train(_batch(reward=0.5), None)
    assert scaled.numpy()[0] == pytest.approx(plain.numpy()[0])


def test_learns_the_distribution_of_a_bandit() -> None:
    trainer = agent_trainer.AgentTrainer(
        builder.DqnBuilder(hidden_sizes=(16,), learning_rate=0.02, num_atoms=5, v_max=4.0), SPEC, seed=1
    )
    observation, action = [[1.0, 0.0]] * 4, [[0.0], [0.0], [1.0], [1.0]]
    # Action 0 gives 0 or 4, action 1 always 3: the second is better.
    batch = Batch(*(tf.constant(x, tf.float32) for x in (observation, action, [0, 4, 3, 3], [0.0] * 4, observation)))
    step = tf.function(lambda: trainer.train(batch, None)[0], autograph=False)
    for _ in range(300):
        step()
    network = trainer.agent._q_network
    state = tf.constant([[1.0, 0.0]])
    want = [[0.5, 0, 0, 0, 0.5], [0, 0, 0, 1, 0]]
    np.testing.assert_allclose(tf.nn.softmax(network.logits(state))[0].numpy(), want, atol=0.03)
    np.testing.assert_allclose(network(state)[0].numpy(), [[2, 3]], atol=0.1)


def test_starts_halfway_between_the_ends() -> None:
    trainer = agent_trainer.AgentTrainer(builder.DqnBuilder(num_atoms=51, v_max=100.0, initial_value=90.0), SPEC)
    q_values, _ = trainer.agent._q_network(tf.constant([[0.3, -0.5]]))
    np.testing.assert_allclose(q_values.numpy(), [[50, 50]], atol=1)


def test_is_not_trained_quantized() -> None:
    quantization = quantization_aware.QuantizationAware(
        bit_widths.BitWidths(4, 8), quantization_aware.QuantizationAwareConfig(), True
    )
    with pytest.raises(errors.ConfigError, match="value distributions are not trained quantized"):
        builder.DqnBuilder(num_atoms=51).make_agent(SPEC, 0, quantization)
