"""Batches for the learner: a `tf.data.Dataset` that samples from the replay, and the way back for new priorities."""

import queue
import threading
from typing import Any

from absl import logging
import numpy as np
import reverb
import tensorflow as tf

from tfquarl.core import deadline
from tfquarl.replay import tables
from tfquarl.replay import transition

# Batches made ahead, where as many items as a batch has do not give more.
_NUM_PREFETCH = 4


def make_dataset(
    server_address: str,
    layout: transition.TransitionLayout,
    batch_size: int,
    rows_in_item: int = 1,
    timeout_ms: int = 2_000,
    num_workers: int = 1,
) -> tf.data.Dataset:
    """A dataset of `TransitionBatch`es with static shapes.

    B items become as many batches as an item has rows: each batch has one row of every item, at a place of its own in each. So the rows
    of a batch are as independent as if each had been sampled by itself; only batches that follow one another share items.

    Args:
      server_address: of the replay, 'host:port'. Where the server lives in this process, sampling goes without network.
      layout: of the rows.
      batch_size: B.
      rows_in_item: R, of the table.
      timeout_ms: time without any sample after which the dataset ends, so that its reader can look at its stop signal and iterate
        again. What was sampled for unfinished batches is kept for that, as it counts in the ratio.
      num_workers: threads that sample.
    """
    source = reverb.TrajectoryDataset(
        server_address,
        tables.EXPERIENCE,
        tf.float32,
        tf.TensorShape([rows_in_item, layout.row_size]),
        # About two batches: more would tie samples to an old state of the replay and its priorities.
        max_in_flight_samples_per_worker=max(16, 2 * batch_size // num_workers),
        num_workers_per_iterator=num_workers,
        rate_limiter_timeout_ms=timeout_ms,
    )

    unfinished = _Unfinished(batch_size, [rows_in_item, layout.row_size])

    def deal(data: tf.Tensor, key: tf.Tensor, probability: tf.Tensor) -> transition.TransitionBatch:
        first = tf.random.uniform([batch_size, 1], maxval=rows_in_item, dtype=tf.int32)
        places = (first + tf.range(rows_in_item)) % rows_in_item
        rows = tf.transpose(tf.gather(data, places, batch_dims=1), [1, 0, 2])
        keys, probabilities = (tf.tile(part[tf.newaxis], [rows_in_item, 1]) for part in (key, probability))
        return layout.unpack(rows, keys, probabilities)

    options = tf.data.Options()
    # There is nothing to tune, and its thread takes time from the samples.
    options.autotune.enabled = False
    # What is made ahead is all the batches of B items at once: the next one of those that are there is taken without another thread.
    # Functions without control flow of Python's: to look for it takes AutoGraph a quarter of a second.
    plain = tf.autograph.experimental.do_not_convert
    parts = source.batch(batch_size).map(plain(unfinished.add)).filter(plain(lambda data, *_: tf.shape(data)[0] > 0))
    groups = parts.map(plain(lambda *full: deal(*unfinished.with_static_shapes(*full))))
    groups = groups.prefetch(max(1, _NUM_PREFETCH // rows_in_item))
    return groups.unbatch().with_options(options)


class _Unfinished:
    """Items of a batch that was not full when the dataset ended; the next iteration goes on with them."""

    def __init__(self, batch_size: int, item_shape: list[int]) -> None:
        self._batch_size = batch_size
        self._parts = [
            tf.Variable(tf.zeros([0, *shape], dtype), trainable=False, shape=[None, *shape])
            for shape, dtype in ((item_shape, tf.float32), ([], tf.uint64), ([], tf.float64))
        ]

    def add(self, items: reverb.ReplaySample) -> tuple[tf.Tensor, ...]:
        """Data [B, R, row_size], keys [B] and probabilities [B] where `items` make it full; nothing of each else."""
        info: Any = items.info
        new: tuple[Any, ...] = (items.data, info.key, info.probability)
        is_full_by_itself = tf.logical_and(tf.size(self._parts[1]) == 0, tf.size(info.key) == self._batch_size)
        return tf.cond(is_full_by_itself, lambda: new, lambda: self._complete(new))

    def _complete(self, new: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        held = [tf.concat([part, added], axis=0) for part, added in zip(self._parts, new)]
        taken = tf.where(tf.shape(held[1])[0] < self._batch_size, 0, self._batch_size)
        for part, all_of_it in zip(self._parts, held):
            part.assign(all_of_it[taken:])
        return tuple(all_of_it[:taken] for all_of_it in held)

    def with_static_shapes(self, *full: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What `add` gave, where it gave something."""
        return tuple(tf.ensure_shape(part, [self._batch_size, *part.shape[1:]]) for part in full)


class PriorityUpdater:
    """Sends new priorities in a thread of its own, so that the learner waits neither for the answer nor for a dead server."""

    def __init__(self, client: reverb.Client, max_waiting: int = 16) -> None:
        """Starts the thread.

        Args:
          client: of the replay's server.
          max_waiting: updates kept while the server does not take them; then the newest ones are dropped and counted.
        """
        self._client = client
        self._updates: queue.Queue[tuple[np.ndarray, np.ndarray]] = queue.Queue(max_waiting)
        self._num_dropped = self._num_updated = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, name="priorities", daemon=True).start()

    @property
    def num_updated(self) -> int:
        """Priorities that the server has confirmed."""
        return self._num_updated

    @property
    def num_dropped(self) -> int:
        """Priorities that were dropped: the server did not take them in time, or refused them."""
        return self._num_dropped

    def update(self, keys: np.ndarray, priorities: np.ndarray) -> None:
        """Items `keys` uint64 [N] get `priorities` float [N]; items that are gone are passed over. Does not wait.

        Raises:
          NumericalError: a priority is negative, NaN or infinite; none is sent.
        """
        transition.check_priorities(priorities)
        try:
            self._updates.put_nowait((keys, priorities))
        except queue.Full:
            self._count_dropped(len(keys))

    def flush(self, timeout_sec: float) -> bool:
        """Waits until all updates were answered, up to `timeout_sec`; whether they were."""
        done = threading.Event()
        threading.Thread(target=lambda: (self._updates.join(), done.set()), daemon=True).start()
        return deadline.wait(done, timeout_sec, None)

    def _count_dropped(self, count: int) -> None:
        with self._lock:  # both threads drop
            self._num_dropped += count

    def _serve(self) -> None:
        while True:
            keys, priorities = self._updates.get()
            try:
                self._client.mutate_priorities(tables.EXPERIENCE, dict(zip(keys.tolist(), priorities.tolist())))
                self._num_updated += len(keys)
            except RuntimeError as error:
                self._count_dropped(len(keys))
                logging.log_first_n(logging.WARNING, "New priorities were refused: %s", 3, error)
            finally:
                self._updates.task_done()
