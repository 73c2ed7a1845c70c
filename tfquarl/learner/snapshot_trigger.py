"""Decides when the policy is given away, and gives it: variables in, `PolicySnapshot` out."""

from collections.abc import Callable
from collections.abc import Mapping
import math
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.learner import learner_config


class SnapshotTrigger(tf.Module):
    """Pushes a snapshot every so many train steps, within limits of time; versions count from 1 and outlive a restart."""

    def __init__(
        self,
        policy_variables: Mapping[str, tf.Variable],
        sink: interfaces.SnapshotSink,
        config: learner_config.LearnerConfig,
        clock: Callable[[], float] = time.perf_counter,
        ranges: Callable[[], Mapping[str, tuple[float, float]]] = dict,
        published: int = 0,
    ) -> None:
        """Stores the arguments.

        Args:
          policy_variables: by name; read at each snapshot.
          sink: where snapshots go.
          config: tells interval and periods.
          clock: seconds.
          ranges: gives the ranges of a policy that is trained quantized, for `PolicySnapshot`.
          published: newest version that earlier learners of the run gave, maybe after the checkpoint that this one goes on from;
            its own are newer, since older ones are refused.
        """
        super().__init__(name="snapshot_trigger")
        # A tuple, because tf.Module turns a mapping with '/' in its keys into something that a checkpoint can't hold.
        self._variables = tuple(policy_variables.items())
        self._sink = sink
        self._config = config
        self._clock = clock
        self._published = published
        self._ranges = ranges
        self._last_step = 0
        self._last_time = -np.inf
        self.version_variable = tf.Variable(tf.zeros([], tf.int64), trainable=False, name="snapshot_version")
        self._version: int | None = None
        # All variables by one tensor: see `policy_learner` on what each costs.
        flat = tf.function(
            lambda: tf.concat([tf.reshape(variable, [-1]) for _, variable in self._variables], 0), autograph=False
        )
        self._read_flat = lambda: (
            flat().numpy()
        )  # a function of Python: a tf.Module would take the other into its checkpoints

    @property
    def version(self) -> int:
        """Version of the last snapshot; 0 before the first."""
        return int(self.version_variable.numpy()) if self._version is None else self._version

    def __call__(self, train_step: int) -> bool:
        """Pushes a snapshot if one is due at `train_step`; whether it did."""
        is_due = self._is_due(train_step - self._last_step, self._clock() - self._last_time)
        if is_due:
            self.push(train_step)
        return is_due

    def push(self, train_step: int) -> records.PolicySnapshot:
        """Pushes a snapshot now, and returns it.

        Raises:
          NumericalError: a variable holds a NaN or an infinity; nothing is pushed.
        """
        version, created_sec = max(self.version, self._published) + 1, time.monotonic()
        values = self._read()
        for name, value in values.items():
            if not np.isfinite(value).all():
                raise errors.NumericalError(
                    f"snapshot {version} at train step {train_step}: variable '{name}' is not finite; it was not published"
                )
        snapshot = records.PolicySnapshot(version, train_step, values, created_sec, self._ranges())
        self._sink.push(snapshot)
        self.version_variable.assign(np.asarray(version))  # TensorFlow keeps a copy of every Python number for ever
        self._version = self._published = version  # which stays where a checkpoint takes the variable back
        self._last_step, self._last_time = train_step, self._clock()
        return snapshot

    def _read(self) -> dict[str, np.ndarray]:
        shapes: list[Any] = [variable.shape.as_list() for _, variable in self._variables]
        parts = np.split(self._read_flat(), np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        return {
            name: part.reshape(shape) for (name, _), part, shape in zip(self._variables, parts, shapes, strict=True)
        }

    def _is_due(self, steps: int, seconds: float) -> bool:
        if self.version == 0:
            return True
        if seconds < self._config.min_snapshot_period_sec or steps == 0:
            return False
        return steps >= self._config.snapshot_interval_steps or seconds >= self._config.max_snapshot_period_sec
