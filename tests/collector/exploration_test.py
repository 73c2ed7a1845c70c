"""Tests of collector/exploration.py."""

import numpy as np
import pytest

from tfquarl.collector import exploration
from tfquarl.core import environment_spec
from tfquarl.core import exploration_config

_FIELDS = (environment_spec.ObservationField("observation", (2,), 0),)
_DISCRETE = environment_spec.EnvironmentSpec("my:buttons", _FIELDS, num_actions=4)
_CONTINUOUS = environment_spec.EnvironmentSpec("my:arm", _FIELDS, action_low=(-1.0, 0.0), action_high=(1.0, 10.0))
_Q_VALUES = np.array([[0, 3, 1, 2], [5, 4, 3, 2]], np.float32)


def _always(value: float):
    return lambda step: value


def test_epsilon_zero_is_greedy() -> None:
    explore = exploration.EpsilonGreedy(_always(0.0), 4, seed=1)
    for _ in range(300):  # more than a block
        actions = explore(_Q_VALUES)
        assert actions == [1, 0] and {type(action) for action in actions} == {int}


def test_epsilon_one_is_uniform() -> None:
    explore = exploration.EpsilonGreedy(_always(1.0), 4, seed=1)
    counts = np.bincount(np.concatenate([explore(_Q_VALUES) for _ in range(4000)]), minlength=4)
    # 8000 draws of probability 1/4: standard deviation 39.
    assert np.abs(counts - 2000).max() < 200


def test_epsilon_is_the_share_of_random_actions_of_each_environment() -> None:
    explore = exploration.EpsilonGreedy(_always(0.4), 4, seed=1)
    actions = np.array([explore(_Q_VALUES) for _ in range(5000)])
    # A random action is the greedy one in a quarter of the cases: 0.4 * 3/4 = 0.3; standard deviation 0.0065.
    np.testing.assert_allclose((actions != [1, 0]).mean(axis=0), [0.3, 0.3], atol=0.033)


def test_epsilon_follows_the_steps_of_all_environments_across_blocks() -> None:
    steps = []

    def epsilon(step: int) -> float:
        steps.append(step)
        return 1.0 if step < 300 else 0.0

    explore = exploration.EpsilonGreedy(epsilon, 1000, seed=1)
    q_values = np.zeros((3, 1000), np.float32)
    actions = np.concatenate([explore(q_values) for _ in range(200)])
    assert steps == list(range(len(steps)))
    assert (actions[300:] == 0).all()
    assert (actions[:300] != 0).sum() > 290  # each is 0 with probability 1/1000


def test_held_actions_last_as_the_zeta_distribution_says() -> None:
    explore = exploration.HeldEpsilonGreedy(_always(1.0), 10**9, seed=1, hold_exponent=2.0)
    tape = np.array([explore(np.zeros((1, 2), np.float32))[0] for _ in range(20_000)])
    lengths = np.diff(np.flatnonzero(np.diff(tape, prepend=-1)))
    # P(1) = 6 / pi^2 = 0.61, P(2) = 0.15; some 4,000 runs, hence a standard deviation of 0.008.
    assert (lengths == 1).mean() == pytest.approx(0.61, abs=0.04)
    assert (lengths == 2).mean() == pytest.approx(0.15, abs=0.03)
    assert lengths.max() <= 100


@pytest.mark.parametrize(("epsilon", "share"), [(0.1, 0.80), (0.01, 0.27)])
def test_share_of_random_actions_where_they_are_held(epsilon: float, share: float) -> None:
    """Held for 36.5 steps on average; 0.1 * 36.5 / (0.9 + 0.1 * 36.5) = 0.80, and 0.01 likewise."""
    explore = exploration.HeldEpsilonGreedy(_always(epsilon), 10**9, seed=1, hold_exponent=1.25)
    actions = np.array([explore(np.zeros((1, 2), np.float32))[0] for _ in range(100_000)])
    assert (actions != 0).mean() == pytest.approx(share, abs=0.03)


def test_held_actions_are_of_each_environment_and_begin_with_epsilon() -> None:
    explore = exploration.HeldEpsilonGreedy(lambda step: 1.0 if step < 2 else 0.0, 10**9, seed=1, hold_exponent=1.1)
    first = explore(_Q_VALUES)
    assert first[0] != first[1] and min(first) > 1
    for _ in range(101):
        actions = explore(_Q_VALUES)
        assert actions[0] in (first[0], 1) and actions[1] in (first[1], 0)
    assert actions == [1, 0]  # Nothing is held for ever, and epsilon is 0 by now.


def test_sigma_zero_gives_the_policys_actions_within_the_bounds() -> None:
    explore = exploration.GaussianNoise(_always(0.0), *_CONTINUOUS.action_bounds, seed=1)
    outputs = np.array([[0.5, 11.0], [-2.0, -0.5]], np.float32)
    actions = explore(outputs)
    np.testing.assert_array_equal(actions, np.array([[0.5, 10.0], [-1.0, 0.0]], np.float32))
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(outputs, np.array([[0.5, 11.0], [-2.0, -0.5]], np.float32))
    assert explore(outputs) is not actions


def test_sigma_is_a_share_of_each_half_range() -> None:
    explore = exploration.GaussianNoise(_always(0.1), *_CONTINUOUS.action_bounds, seed=1)
    outputs = np.array([[0.0, 5.0]] * 3, np.float32)
    noise = np.concatenate([explore(outputs) - outputs for _ in range(5000)])
    # 15,000 draws: the relative standard deviation of a standard deviation is 0.006.
    np.testing.assert_allclose(noise.std(axis=0), [0.1, 0.5], rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), [0.0, 0.0], atol=0.025)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.05


def test_actions_stay_within_the_bounds() -> None:
    explore = exploration.GaussianNoise(_always(3.0), *_CONTINUOUS.action_bounds, seed=1)
    actions = np.concatenate([explore(np.array([[0.9, 9.0]], np.float32)) for _ in range(1000)])
    assert actions.min(axis=0).tolist() == [-1.0, 0.0] and actions.max(axis=0).tolist() == [1.0, 10.0]


def test_sigma_follows_the_steps_of_all_environments_across_blocks() -> None:
    explore = exploration.GaussianNoise(lambda step: 1.0 if step < 600 else 0.0, *_CONTINUOUS.action_bounds, seed=1)
    outputs = np.array([[0.0, 5.0]] * 2, np.float32)
    is_noisy = np.concatenate([(explore(outputs) != outputs).all(axis=1) for _ in range(400)])
    assert is_noisy[:600].all() and not is_noisy[600:].any()


@pytest.mark.parametrize("shape", [(2, 2), (1, 3)], ids=["other K", "other A"])
def test_outputs_of_another_shape_are_refused(shape: tuple[int, int]) -> None:
    explore = exploration.GaussianNoise(_always(1.0), *_CONTINUOUS.action_bounds, seed=1)
    explore(np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="outputs have shape"):
        explore(np.zeros(shape, np.float32))


def test_uniform_random_fills_the_spec() -> None:
    observations = np.zeros((500, 2), np.float32)
    buttons = exploration.UniformRandom(_DISCRETE, seed=1)(observations)
    assert type(buttons[0]) is int and np.bincount(buttons).min() > 80  # 125 expected, standard deviation 10
    arm = exploration.UniformRandom(_CONTINUOUS, seed=1)(observations)
    assert arm.dtype == np.float32 and arm.shape == (500, 2)
    np.testing.assert_allclose(arm.min(axis=0), [-1, 0], atol=0.2)
    np.testing.assert_allclose(arm.max(axis=0), [1, 10], atol=0.2)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda seed: exploration.EpsilonGreedy(_always(0.5), 4, seed), id="epsilon-greedy"),
        pytest.param(lambda seed: exploration.HeldEpsilonGreedy(_always(0.5), 4, seed, 2.0), id="held epsilon-greedy"),
        pytest.param(
            lambda seed: exploration.GaussianNoise(_always(0.5), np.full(4, -9.0), np.full(4, 9.0), seed), id="Gaussian"
        ),
        pytest.param(lambda seed: exploration.UniformRandom(_DISCRETE, seed), id="uniform"),
    ],
)
def test_seed_decides(make) -> None:
    explorers = [make(seed) for seed in (1, 1, 2)]
    tapes = [[np.array(explore(_Q_VALUES)).tolist() for _ in range(30)] for explore in explorers]
    assert tapes[0] == tapes[1] != tapes[2]


def test_make_gives_what_the_config_says() -> None:
    greedy = exploration_config.ExplorationConfig("epsilon_greedy", 0.0, 0.0, 0, seed=1)
    assert exploration.make(greedy, _DISCRETE)(_Q_VALUES) == [1, 0]
    held = exploration_config.ExplorationConfig("epsilon_greedy", 1.0, 1.0, 0, seed=1, hold_exponent=2.0)
    assert isinstance(exploration.make(held, _DISCRETE), exploration.HeldEpsilonGreedy)
    noisy = exploration_config.ExplorationConfig("gaussian", 1.0, 0.0, decay_steps=1, seed=1)
    explore = exploration.make(noisy, _CONTINUOUS)
    outputs = np.array([[0.0, 5.0]], np.float32)
    assert (explore(outputs) != outputs).all() and (explore(outputs) == outputs).all()


@pytest.mark.parametrize(
    "kind, spec", [("epsilon_greedy", _CONTINUOUS), ("gaussian", _DISCRETE)], ids=["epsilon-greedy", "Gaussian"]
)
def test_make_refuses_a_kind_for_other_actions(kind: str, spec: environment_spec.EnvironmentSpec) -> None:
    with pytest.raises(ValueError, match=spec.name):
        exploration.make(exploration_config.ExplorationConfig(kind, 0.1, 0.1, 0, seed=1), spec)


@pytest.mark.parametrize("first_step, share", [(0, 1.0), (2, 0.0)], ids=["at the beginning", "after the decay"])
def test_a_schedule_goes_on_where_it_was(first_step: int, share: float) -> None:
    config = exploration_config.ExplorationConfig("epsilon_greedy", 1.0, 0.0, decay_steps=2, seed=3, hold_exponent=None)
    seen: list[int] = []

    class Watched(exploration_config.ExplorationConfig):
        def strength(self, step: int) -> float:
            seen.append(step)
            return super().strength(step)

    explore = exploration.make(Watched(**vars(config)), _DISCRETE, first_step)
    explore(_Q_VALUES[:1])
    assert seen[0] == first_step and config.strength(seen[0]) == share
