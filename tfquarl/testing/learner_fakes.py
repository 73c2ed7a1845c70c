"""Fakes of what stands around the learner: an agent with one number to learn, batches from memory, and sinks that remember."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfquarl.core import records


class FakeBatch(NamedTuple):
    """Fields of a replay batch that the fake agent and the learner look at."""

    observation: Any
    reward: Any
    keys: Any
    probability: Any


class FakeTrainer:
    """Fulfils `learner.trainer.Trainer`: head/bias moves towards the reward, by a share of one half at each step.

    The loss is the mean weighted distance between head/bias [1] and the rewards, before the move.
    """

    def __init__(self, observation_size: int = 2, clipped_share: float | None = None) -> None:
        """Head/bias starts at 0; `clipped_share` is what each train step tells."""
        self._clipped_share = clipped_share
        self.agent: Any = tf.Module("fake_agent")
        self.agent.step = tf.Variable(tf.zeros([], tf.int64), trainable=False, name="train_step")
        self.agent.bias = tf.Variable(tf.zeros([1]), name="head/bias")
        self.agent.offset = tf.Variable(tf.zeros([observation_size]), trainable=False, name="offset")
        self.agent.scale = tf.Variable(tf.ones([observation_size]), trainable=False, name="scale")

    @property
    def train_step(self) -> tf.Variable:
        """Counts the steps."""
        return self.agent.step

    @property
    def policy_variables(self) -> Mapping[str, tf.Variable]:
        """One bias and the observation scaling."""
        return {
            "observation_scaling/offset": self.agent.offset,
            "observation_scaling/scale": self.agent.scale,
            "head/bias": self.agent.bias,
        }

    def train(self, batch: FakeBatch, weights: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """One step; the priorities are the distances [B]."""
        distance = tf.abs(batch.reward - self.agent.bias)
        loss = tf.reduce_mean(distance if weights is None else weights * distance)
        self.agent.bias.assign_add(0.5 * (tf.reduce_mean(batch.reward, keepdims=True) - self.agent.bias))
        self.agent.step.assign_add(1)
        return loss, distance, None if self._clipped_share is None else tf.constant(self._clipped_share)


def fake_dataset(rewards: list[list[float]], rounds: int | None = None) -> tf.data.Dataset:
    """Batches from memory.

    Args:
      rewards: of each batch [num_batches, B]. Observations [B, 2] repeat the reward; keys count up from 0 within the batch.
      rounds: times that they are given before the dataset ends, at each iteration over it; None never ends.
    """
    reward = np.asarray(rewards, np.float32)
    batch = FakeBatch(
        np.repeat(reward[..., None], 2, axis=2),
        reward,
        np.broadcast_to(np.arange(reward.shape[1], dtype=np.uint64), reward.shape),
        np.full(reward.shape, 0.5, np.float64),
    )
    return tf.data.Dataset.from_tensor_slices(batch).repeat(rounds)


class TapeSink:
    """Remembers what was pushed, written and updated, in order, on one tape that several of them may share."""

    def __init__(self, tape: list[tuple[Any, ...]] | None = None) -> None:
        """Starts with `tape`, or a new one."""
        self.tape: list[tuple[Any, ...]] = [] if tape is None else tape

    def push(self, snapshot: records.PolicySnapshot) -> None:
        """As a `SnapshotSink`: ('push', version, train step, head/bias)."""
        self.tape.append(("push", snapshot.version, snapshot.train_step, float(snapshot.variables["head/bias"][0])))

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """As a `MetricsSink`: ('write', group, step, values)."""
        self.tape.append(("write", group, step, dict(values)))

    def update(self, keys: np.ndarray, priorities: np.ndarray) -> None:
        """As a `PrioritySink`: ('update', keys, priorities)."""
        self.tape.append(("update", keys.tolist(), priorities.tolist()))

    @property
    def num_updated(self) -> int:
        """As of a `PrioritySink`."""
        return sum(len(keys) for keys, _ in self.named("update"))

    @property
    def num_dropped(self) -> int:
        """As of a `PrioritySink`: nothing is dropped."""
        return 0

    def named(self, kind: str) -> Iterator[tuple[Any, ...]]:
        """The entries of one kind, without it."""
        return (entry[1:] for entry in self.tape if entry[0] == kind)
