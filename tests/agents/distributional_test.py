"""Tests of the equations of distributional agents: against numbers computed by hand, and by properties of the projection."""

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.categorical_dqn import categorical_dqn_agent

from tfquarl.agents import distributional

Z = distributional.atoms(0.0, 4.0, 5)  # 0, 1, 2, 3, 4


@pytest.mark.parametrize("reward, discount", [(np.nan, 1.0), (1.0, np.nan)])
def test_a_reward_that_is_no_number_has_no_distribution(reward: float, discount: float):
    probabilities = tf.constant([[0.2] * 5] * 2)
    projected = distributional.project(probabilities, tf.constant([1.0, reward]), tf.constant([1.0, discount]), Z)
    assert np.isnan(projected.numpy()[1]).all()
    np.testing.assert_allclose(projected.numpy()[0], [0, 0.2, 0.2, 0.2, 0.4], rtol=1e-6)


@pytest.mark.parametrize(
    "probabilities, reward, discount, want",
    [
        ([0, 1, 0, 0, 0], 0.0, 1.0, [0, 1, 0, 0, 0]),
        ([0, 1, 0, 0, 0], 1.0, 1.0, [0, 0, 1, 0, 0]),
        ([0, 1, 0, 0, 0], 0.25, 1.0, [0, 0.75, 0.25, 0, 0]),
        ([0, 0.5, 0, 0.5, 0], 0.0, 0.5, [0.25, 0.5, 0.25, 0, 0]),
        ([0.2, 0.2, 0.2, 0.2, 0.2], 3.0, 0.0, [0, 0, 0, 1, 0]),
        ([0.2, 0.2, 0.2, 0.2, 0.2], 1.5, 0.0, [0, 0.5, 0.5, 0, 0]),
        ([0.5, 0, 0, 0, 0.5], 2.0, 1.0, [0, 0, 0.5, 0, 0.5]),
        ([0, 1, 0, 0, 0], -9.0, 1.0, [1, 0, 0, 0, 0]),
        ([0, 0, 0, 0, 1], 9.0, 0.0, [0, 0, 0, 0, 1]),
    ],
    ids=[
        "nothing moves",
        "one atom up",
        "a quarter of an atom up",
        "contracts",
        "terminal, reward on an atom",
        "terminal, reward between two atoms",
        "clipped in part",
        "clipped below",
        "clipped above",
    ],
)
def test_projection_by_hand(probabilities: list[float], reward: float, discount: float, want: list[float]) -> None:
    got = distributional.project(
        tf.constant([probabilities], tf.float32), tf.constant([reward]), tf.constant([discount]), Z
    )
    np.testing.assert_allclose(got.numpy(), [want], atol=1e-6)


@pytest.mark.parametrize(
    "rewards, discounts, want",
    [
        pytest.param([0.0, 2.0], [1.0, 1.0], (0.0 + 0.5) / 2, id="two of four atoms above"),
        pytest.param([-2.0, 0.0], [1.0, 1.0], (0.25 + 0.0) / 2, id="one of four atoms below"),
        pytest.param([0.4, 0.4], [0.9, 0.9], 0.0, id="the last atom onto itself"),
        pytest.param([-1.0, 5.0], [0.0, 0.0], 1.0, id="terminal rewards beyond both ends"),
    ],
)
def test_the_clipped_share_by_hand(rewards: list[float], discounts: list[float], want: float) -> None:
    probabilities = tf.constant([[0.0, 0.25, 0.25, 0.25, 0.25]] * 2)
    got = distributional.clipped_share(probabilities, tf.constant(rewards), tf.constant(discounts), Z)
    assert float(got) == pytest.approx(want)


@strategies.composite
def _cases(draw: strategies.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, rewards, discounts and atoms of a batch."""
    generator = np.random.default_rng(draw(strategies.integers(0, 2**32 - 1)))
    num_atoms = draw(strategies.integers(2, 60))
    width = draw(strategies.sampled_from([0.5, 10.0, 200.0]))
    v_min = width * draw(strategies.floats(-2, 1, width=32))
    z = distributional.atoms(v_min, v_min + width, num_atoms).numpy()
    probabilities = generator.dirichlet(np.full(num_atoms, draw(strategies.sampled_from([0.05, 1.0]))), 6)
    rewards = generator.normal(scale=draw(strategies.sampled_from([0.1, 10.0])), size=6)
    return probabilities.astype("f"), rewards.astype("f"), generator.uniform(size=6).astype("f"), z


@settings(max_examples=60, deadline=None)
@given(_cases())
def test_projection_keeps_mass_and_where_nothing_is_clipped_the_mean(case: tuple[np.ndarray, ...]) -> None:
    probabilities, rewards, discounts, z = case
    got = distributional.project(*(tf.constant(value) for value in case)).numpy()
    assert got.min() >= 0
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-4)
    moved = rewards[:, None] + discounts[:, None] * z
    np.testing.assert_allclose(
        got @ z, (np.clip(moved, z[0], z[-1]) * probabilities).sum(axis=1), atol=2e-3 * np.abs(z).max()
    )
    unclipped = (moved >= z[0]).all(axis=1) & (moved <= z[-1]).all(axis=1)
    means = rewards + discounts * (probabilities @ z)
    np.testing.assert_allclose((got @ z)[unclipped], means[unclipped], atol=2e-3 * np.abs(z).max())


def test_projection_agrees_with_tf_agents() -> None:
    generator = np.random.default_rng(0)
    probabilities = tf.constant(generator.dirichlet(np.ones(51), 8), tf.float32)
    rewards, discounts = (tf.constant(generator.uniform(0, high, 8), tf.float32) for high in (30.0, 1.0))
    z = distributional.atoms(-10.0, 50.0, 51)
    want = categorical_dqn_agent.project_distribution(rewards[:, None] + discounts[:, None] * z, probabilities, z)
    np.testing.assert_allclose(
        distributional.project(probabilities, rewards, discounts, z).numpy(), want.numpy(), atol=1e-5
    )


def test_critic_loss_by_hand() -> None:
    # softmax(0, ln 3) = 1/4, 3/4.
    logits, target = tf.constant([[0.0, np.log(3.0)]], tf.float32), tf.constant([[0.5, 0.5]])
    got = distributional.critic_loss(logits, target)
    np.testing.assert_allclose(got.numpy(), [0.5 * np.log(4) + 0.5 * np.log(4 / 3)], rtol=1e-6)
    np.testing.assert_allclose(
        distributional.divergence(got, target).numpy(), [0.5 * np.log(2) + 0.5 * np.log(2 / 3)], rtol=1e-5
    )


def test_divergence_is_zero_where_critic_and_target_agree() -> None:
    logits = tf.constant([[0.0, 1.0, -40.0], [3.0, 3.0, 3.0]])
    target = tf.nn.softmax(logits)
    np.testing.assert_allclose(
        distributional.divergence(distributional.critic_loss(logits, target), target).numpy(), [0, 0], atol=1e-6
    )


def test_critic_loss_sends_no_gradient_into_the_target() -> None:
    logits, target = tf.constant([[0.0, 1.0]]), tf.constant([[0.5, 0.5]])
    with tf.GradientTape() as tape:
        tape.watch([logits, target])
        loss = distributional.critic_loss(logits, target)
    gradient, none = tape.gradient(loss, [logits, target])
    np.testing.assert_allclose(gradient.numpy(), (tf.nn.softmax(logits) - target).numpy(), rtol=1e-5)
    assert none is None


def test_expected_value_and_actor_loss_by_hand() -> None:
    logits, z = tf.constant([[0.0, np.log(3.0)]], tf.float32), tf.constant([2.0, 10.0])
    np.testing.assert_allclose(distributional.expected_value(logits, z).numpy(), [8.0], rtol=1e-6)
    np.testing.assert_allclose(distributional.actor_loss(logits, z).numpy(), [-8.0], rtol=1e-6)


def test_atoms() -> None:
    np.testing.assert_allclose(distributional.atoms(-1.0, 1.0, 5).numpy(), [-1, -0.5, 0, 0.5, 1])


@pytest.mark.parametrize("v_min, v_max, num_atoms", [(0.0, 1.0, 1), (1.0, 1.0, 5), (2.0, 1.0, 5)])
def test_atoms_refuse(v_min: float, v_max: float, num_atoms: int) -> None:
    with pytest.raises(ValueError, match="needs num_atoms >= 2 and v_min < v_max"):
        distributional.atoms(v_min, v_max, num_atoms)


@pytest.mark.parametrize("name", ["probabilities", "r_t", "discount_t", "z"])
def test_shapes_are_checked(name: str) -> None:
    arguments = {"probabilities": tf.zeros([2, 5]), "r_t": tf.zeros([2]), "discount_t": tf.zeros([2]), "z": Z}
    with pytest.raises(ValueError, match=f"{name} has shape"):
        distributional.project(**{**arguments, name: arguments[name][None]})
