"""Tests of tfquarl.replay.dataset, with real servers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reverb
import tensorflow as tf

from tests.replay import conftest
from tfquarl.core import errors
from tfquarl.replay import dataset
from tfquarl.replay import replay_config
from tfquarl.replay import server_calls
from tfquarl.replay import tables
from tfquarl.replay import transition_writer

LAYOUT = conftest.LAYOUT
Serve = Callable[[replay_config.ReplayConfig], reverb.Client]


def filled(serve: Serve, num_steps: int, **settings: Any) -> reverb.Client:
    """A replay of transitions whose reward is 0, 1, ..., action twice and observation three times that."""
    config = replay_config.ReplayConfig(**{"min_size_to_sample": 4, **settings})
    client = serve(config)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, 1.0)
    sink = writer.sinks(1)[0]
    sink.start(np.float32([0, 0]))
    for i in range(num_steps):
        sink.add(2 * i, float(i), np.float32([3 * i + 3, 1]), False, False)
    writer.flush()
    writer.close()
    return client


def test_fields_have_static_shapes():
    spec = dataset.make_dataset("localhost:1", LAYOUT, 8).element_spec
    assert [tuple(field.shape) for field in spec] == [(8, 2), (8, 1), (8,), (8,), (8, 2), (8,), (8,)]
    assert spec.keys.dtype == tf.uint64 and spec.probability.dtype == tf.float64
    assert {field.dtype for field in spec[:5]} == {tf.float32}


def test_each_batch_has_one_row_of_each_item(serve: Serve):
    """Items are 0 .. 3, 4 .. 7 and so on; four batches share 64 items, and each takes its row of an item at another place."""
    client = filled(serve, 32, rows_per_item=4)
    batches = list(dataset.make_dataset(client.server_address, LAYOUT, 64, rows_in_item=4).take(4).as_numpy_iterator())
    for field in (batch.reward for batch in batches):
        assert len({int(reward) % 4 for reward in field}) == 4  # all places within one batch
    rewards = np.stack([batch.reward for batch in batches])
    np.testing.assert_array_equal(np.sort(rewards % 4, axis=0), np.tile(np.arange(4)[:, np.newaxis], 64))
    np.testing.assert_array_equal(rewards // 4, np.tile(rewards[0] // 4, (4, 1)))
    for batch in batches:
        np.testing.assert_array_equal(batch.keys, batches[0].keys)
        np.testing.assert_array_equal(batch.observation[:, 0], 3 * batch.reward)
        np.testing.assert_array_equal(batch.next_observation[:, 0], 3 * batch.reward + 3)
        np.testing.assert_allclose(batch.probability, np.full(64, 1 / 8))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_batches_hold_what_was_written(serve: Serve, num_workers: int):
    client = filled(serve, 4)
    batches = dataset.make_dataset(client.server_address, LAYOUT, 64, num_workers=num_workers)
    for batch in batches.take(2).as_numpy_iterator():
        assert set(batch.reward.tolist()) == {0, 1, 2, 3}
        np.testing.assert_array_equal(batch.action[:, 0], 2 * batch.reward)
        np.testing.assert_array_equal(batch.next_observation[:, 0], 3 * batch.reward + 3)
        np.testing.assert_array_equal(batch.observation[:, 0], 3 * batch.reward)
        np.testing.assert_array_equal(batch.discount, np.ones(64))
        np.testing.assert_allclose(batch.probability, np.full(64, 0.25))


def test_ends_where_no_sample_comes_and_can_be_asked_again(serve: Serve):
    client = filled(serve, 3)
    batches = dataset.make_dataset(client.server_address, LAYOUT, 2, timeout_ms=200)
    assert list(batches) == []
    writer = transition_writer.TransitionWriter(client, LAYOUT, replay_config.ReplayConfig(), 1.0)
    writer.write(np.zeros((1, LAYOUT.row_size), np.float32))
    assert writer.flush()
    assert next(iter(batches)).reward.shape == [2]
    writer.close()


def test_ratio_counts_the_samples(serve: Serve):
    client = filled(serve, 8, min_size_to_sample=8, samples_per_insert=2.0, error_buffer=4.0)
    # The first 8 inserts allow no more samples than the buffer.
    batches = list(dataset.make_dataset(client.server_address, LAYOUT, 2, timeout_ms=300))
    assert len(batches) == 2


def test_what_was_sampled_for_an_unfinished_batch_is_kept(serve: Serve):
    settings = {"min_size_to_sample": 8, "samples_per_insert": 2.0, "error_buffer": 4.0}
    client = filled(serve, 8, **settings)
    batches = dataset.make_dataset(client.server_address, LAYOUT, 3, timeout_ms=300)
    assert len(list(batches)) == 1  # of 4 samples
    writer = transition_writer.TransitionWriter(client, LAYOUT, replay_config.ReplayConfig(**settings), 1.0)
    writer.write(np.zeros((1, LAYOUT.row_size), np.float32))
    assert writer.flush()
    assert [len(batch.keys) for batch in batches] == [3]  # by 2 more
    writer.close()


def test_new_priorities_decide_what_is_sampled(serve: Serve):
    client = filled(serve, 4, priority_exponent=0.5)
    batch = next(dataset.make_dataset(client.server_address, LAYOUT, 64).as_numpy_iterator())
    updater = dataset.PriorityUpdater(client)
    updater.update(batch.keys, np.where(batch.reward == 3, 4.0, 0.0))
    assert updater.flush(10) and (updater.num_updated, updater.num_dropped) == (64, 0)
    batch = next(dataset.make_dataset(client.server_address, LAYOUT, 64).as_numpy_iterator())
    assert set(batch.reward.tolist()) == {3.0}
    assert {item.priority for item in server_calls.sample(client, tables.EXPERIENCE, 5)} == {4.0}


def test_probability_is_the_priority_s_share(serve: Serve):
    client = filled(serve, 4, priority_exponent=0.5)
    batch = next(dataset.make_dataset(client.server_address, LAYOUT, 64).as_numpy_iterator())
    updater = dataset.PriorityUpdater(client)
    updater.update(batch.keys, batch.reward.astype(np.float64) ** 2)
    assert updater.flush(10)
    # Priorities 0, 1, 4, 9, their roots 0, 1, 2, 3.
    batch = next(dataset.make_dataset(client.server_address, LAYOUT, 64).as_numpy_iterator())
    np.testing.assert_allclose(batch.probability, batch.reward / 6)


def test_keys_that_are_gone_are_passed_over(serve: Serve):
    updater = dataset.PriorityUpdater(filled(serve, 4))
    updater.update(np.uint64([1, 2]), np.float64([1, 1]))
    assert updater.flush(10) and updater.num_dropped == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_refuses_bad_priorities(serve: Serve, bad: float):
    updater = dataset.PriorityUpdater(serve(replay_config.ReplayConfig()))
    with pytest.raises(errors.NumericalError, match=r"priority \[1\] is"):
        updater.update(np.uint64([1, 2]), np.float64([1, bad]))


def test_dead_server_costs_dropped_updates_and_no_wait(server_process: Any):
    updater = dataset.PriorityUpdater(reverb.Client(server_process.address), max_waiting=2)
    server_process.kill()
    for _ in range(4):
        updater.update(np.uint64([1, 2, 3]), np.float64([1, 1, 1]))
    assert updater.num_dropped in (3, 6)  # two updates wait, and one may be on its way
    assert not updater.flush(0.1)


def test_samples_again_after_the_server_came_back(server_process: Any):
    def fill() -> None:
        client = reverb.Client(server_process.address)
        writer = transition_writer.TransitionWriter(client, LAYOUT, replay_config.ReplayConfig(), 1.0)
        for _ in range(6):
            writer.write(np.zeros((1, LAYOUT.row_size), np.float32))
        writer.flush()
        writer.close()

    fill()
    iterator = iter(dataset.make_dataset(server_process.address, LAYOUT, 4))
    next(iterator)
    server_process.kill()
    server_process.start()
    fill()
    for _ in range(50):
        assert next(iterator).reward.shape == [4]
