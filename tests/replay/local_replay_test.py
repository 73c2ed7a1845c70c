"""Tests of tfquarl.replay.local_replay."""

from typing import Any

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.replay import local_replay
from tfquarl.replay import replay_config
from tfquarl.replay import transition

LAYOUT = transition.TransitionLayout(1, 1)


def make(seed: int = 0, n_step: int = 1, **settings: Any) -> local_replay.LocalReplay:
    config = replay_config.ReplayConfig(**{"max_size": 4, "min_size_to_sample": 1, **settings})
    return local_replay.LocalReplay(LAYOUT, config, discount=0.5, seed=seed, n_step=n_step)


def write(replay: local_replay.LocalReplay, num_steps: int) -> None:
    """Rewards 0, 1, 2, ..."""
    sink = replay.sinks(1)[0]
    sink.start(np.float32([0]))
    for t in range(num_steps):
        sink.add(0, float(t), np.float32([t + 1]), False, False)


def test_sinks_share_the_ring_and_the_oldest_goes_first():
    replay = make()
    write(replay, 2)
    write(replay, 3)
    assert (replay.size, replay.num_inserted) == (4, 5)
    rewards = set(replay.sample(200).reward.tolist())
    assert rewards == {1.0, 0.0, 2.0}
    assert set(replay.sample(200).keys.tolist()) == {1, 2, 3, 4}


def test_windows_are_the_config_s():
    replay = make(n_step=2)
    write(replay, 3)
    assert replay.size == 2
    batch = replay.sample(100)
    assert set(zip(batch.observation[:, 0].tolist(), batch.reward.tolist())) == {(0, 0.5), (1, 2.0)}
    assert set(batch.discount.tolist()) == {0.5}


@pytest.mark.parametrize("exponent", [None, 1.0], ids=["uniform", "prioritised"])
def test_same_seed_same_samples(exponent: float | None):
    batches = []
    for seed in (1, 1, 2):
        replay = make(seed, priority_exponent=exponent)
        write(replay, 4)
        batches.append(np.concatenate([replay.sample(8).reward for _ in range(4)]).tolist())
    assert batches[0] == batches[1] != batches[2]


def test_fields():
    replay = make()
    write(replay, 4)
    batch = replay.sample(3)
    assert batch.observation.shape == (3, 1) and batch.reward.shape == (3,) and batch.keys.dtype == np.uint64
    np.testing.assert_array_equal(batch.probability, [0.25] * 3)


def test_priorities_decide():
    replay = make(priority_exponent=0.5)
    write(replay, 4)
    replay.update(np.uint64([0, 1, 2, 3]), np.float64([0, 1, 4, 0]))
    assert (replay.num_updated, replay.num_dropped) == (4, 0)
    batch = replay.sample(3000)
    # Square roots 0, 1, 2, 0: probabilities 1/3 and 2/3.
    assert set(batch.reward.tolist()) == {1.0, 2.0}
    assert np.mean(batch.reward == 2) == pytest.approx(2 / 3, abs=0.05)
    np.testing.assert_allclose(batch.probability, np.where(batch.reward == 2, 2 / 3, 1 / 3))


def test_a_new_transition_has_the_initial_priority():
    replay = make(priority_exponent=1.0, initial_priority=3.0)
    write(replay, 2)
    replay.update(np.uint64([0]), np.float64([1.0]))
    batch = replay.sample(50)
    # Priorities 1 and 3.
    np.testing.assert_allclose(batch.probability, np.where(batch.keys == 0, 0.25, 0.75))


def test_priority_of_a_row_that_is_gone_is_passed_over():
    replay = make(priority_exponent=1.0)
    write(replay, 5)
    replay.update(np.uint64([0, 3]), np.float64([100, 1]))
    assert set(replay.sample(200).reward.tolist()) == {1.0, 2.0, 3.0, 4.0}


def test_sample_of_nothing():
    with pytest.raises(ValueError, match="the replay is empty"):
        make().sample(1)


def observations(num_steps: int, **settings: Any) -> local_replay.LocalObservations:
    config = replay_config.ReplayConfig(**{"observation_every": 2, "observation_block": 2, **settings})
    pool = local_replay.LocalObservations(config, num_observations=3)
    for t in range(num_steps):
        pool.add(np.float32([t]))
    return pool


def test_observations_go_to_one_purpose_each():
    pool = observations(10)
    # 0, 1 | 2, 3 at first, then every second one: 4, 6 | 8.
    assert pool.calibration().tolist() == [[1], [4], [6]]
    assert pool.held_out().tolist() == [[2], [3], [8]]


def test_observations_are_copied():
    config = replay_config.ReplayConfig(observation_block=2)
    pool = local_replay.LocalObservations(config)
    observation = np.float32([1])
    pool.add(observation)
    observation[:] = 2
    assert pool.calibration().tolist() == [[1]]


def test_no_observations():
    with pytest.raises(ValueError, match="no observations yet"):
        observations(0).calibration()
    with pytest.raises(ValueError, match="no observations yet"):
        observations(2).held_out()


def test_state_comes_back():
    replay = make(priority_exponent=1.0)
    write(replay, 6)
    replay.update(np.array([5], np.uint64), np.array([3.0]))
    other = make(priority_exponent=1.0)
    other.restore({name: array.copy() for name, array in replay.state().items()})
    assert (other.size, other.num_inserted) == (4, 6)
    for name, array in replay.state().items():
        np.testing.assert_array_equal(other.state()[name], array)
    write(other, 1)
    assert 2 not in other.sample(200).keys.tolist()  # the oldest one


def test_what_came_back_is_sampled_by_new_random_numbers_and_always_the_same():
    replay = make()
    write(replay, 4)
    before = [replay.sample(16).keys.tolist() for _ in range(2)]
    after = []
    for _ in range(2):
        other = make()
        other.restore(replay.state())
        after.append(other.sample(16).keys.tolist())
    assert after[0] == after[1] and after[0] not in before


def test_observations_come_back():
    config = replay_config.ReplayConfig(observation_block=2)
    source, other = local_replay.LocalObservations(config), local_replay.LocalObservations(config)
    for value in range(4):
        source.add(np.float32([value]))
    other.restore(source.state())
    assert other.calibration().ravel().tolist() == [0, 1] and other.held_out().ravel().tolist() == [2, 3]


def test_observations_that_came_back_count_to_the_first_blocks():
    other = observations(0)
    other.restore(observations(4).state())
    for value in (4, 5):
        other.add(np.float32([value]))
    # 0, 1 | 2, 3 came back: both blocks are full, and every second one is kept.
    assert other.calibration().tolist() == [[0], [1], [4]]
    assert other.held_out().tolist() == [[2], [3]]


def test_nothing_comes_back_of_nothing():
    other = local_replay.LocalObservations(replay_config.ReplayConfig())
    other.restore(local_replay.LocalObservations(replay_config.ReplayConfig()).state())
    assert other.state() == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_priorities_that_can_not_be_are_refused_whole(bad: float):
    replay = make(priority_exponent=1.0)
    write(replay, 4)
    replay.update(np.uint64([0, 1, 2, 3]), np.float64([0, 0, 1, 0]))
    with pytest.raises(errors.NumericalError, match=r"priority \[1\] is"):
        replay.update(np.uint64([0, 1]), np.float64([5.0, bad]))
    assert set(replay.sample(100).reward.tolist()) == {2.0}
