"""Train steps, many per call into TensorFlow: batches in, updated variables out.

TensorFlow 2.15 loses a few bytes with every eager tensor under Python 3.11. What is done again and again makes one tensor, not one for
each number.
"""

from collections.abc import Iterator
import dataclasses
import math
import re
import time
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import cancellation  # TensorFlow has no public name for it

from tfquarl.core import errors
from tfquarl.learner import learner_config
from tfquarl.learner import observation_statistics
from tfquarl.learner import trainer as trainer_lib

# What `tf.debugging.check_numerics` says.
_NO_NUMBER = re.compile(r"Tensor had (NaN|Inf|-Inf)")
# A call of `train` that is younger is not looked into.
_YOUNG_CALL_SEC = 0.5


@dataclasses.dataclass(frozen=True)
class TrainReport:
    """What one call of `PolicyLearner.train` did.

    Attributes:
      num_steps: train steps made; fewer than asked for where data ran out.
      mean_loss: over those steps; 0 where there were none.
      elapsed_sec: wall time of the call.
      wait_sec: the part of it spent waiting for batches.
      is_starved: whether the replay gave no batch within its time limit.
      clipped_share: of the targets' probabilities, that lay outside of the support of the value distributions, mean over those steps; None for
        agents without.
    """

    num_steps: int
    mean_loss: float
    elapsed_sec: float
    wait_sec: float
    is_starved: bool
    clipped_share: float | None


class PolicyLearner:
    """Trains on the batches of a dataset; nothing comes back to Python between the steps of one call."""

    def __init__(
        self,
        trainer: trainer_lib.Trainer,
        dataset: tf.data.Dataset,
        config: learner_config.LearnerConfig,
        priorities: trainer_lib.PrioritySink | None = None,
    ) -> None:
        """Makes the accumulators and traces the train step, so that the optimizer's variables exist.

        Args:
          trainer: the agent.
          dataset: of batches with a static batch size. It may end where it gives up waiting for data; it is then asked again.
          config: of the learner.
          priorities: where new priorities go; batches then have `keys` and `probability`.
        """
        self._trainer = trainer
        self._dataset = dataset
        self._config = config
        self._priorities = priorities
        self._iterator: Iterator[Any] | None = None
        size = int(tf.size(trainer.policy_variables["observation_scaling/offset"]))
        self._statistics = observation_statistics.ObservationStatistics(size)
        self._loss_sum = tf.Variable(tf.zeros([]), trainable=False, name="loss_sum")
        self._clipped_sum = tf.Variable(tf.zeros([]), trainable=False, name="clipped_sum")
        self._wait_sec = tf.Variable(tf.zeros([], tf.float64), trainable=False, name="wait_sec")
        self._batch_time = tf.Variable(tf.zeros([], tf.float64), trainable=False, name="batch_time")
        self._train_one = tf.function(
            tf.autograph.experimental.do_not_convert(self._train_batch), jit_compile=config.jit_compile or None
        )
        self._train_many = tf.function(self._train_loop, autograph=False)
        self._read_counters = tf.function(self._counters, autograph=False)
        self._step_counts: dict[int, tf.Tensor] = {}
        self._train_step: int | None = None
        self._call_start_sec = 0.0
        self._seen_batch_time, self._seen_sec = -1.0, time.perf_counter()
        self._cancellation: cancellation.CancellationManager | None = None
        traced = self._train_one.get_concrete_function(dataset.element_spec)
        self._has_support = traced.structured_outputs[2] is not None

    @property
    def statistics(self) -> observation_statistics.ObservationStatistics:
        """Of the observations seen; part of a checkpoint."""
        return self._statistics

    @property
    def train_step(self) -> int:
        """Train steps made so far."""
        if self._train_step is None:
            self._train_step = int(self._trainer.train_step.numpy())
        return self._train_step

    def notice_restored(self) -> None:
        """To be called when a checkpoint was restored: the train step is another one."""
        self._train_step = None

    @property
    def priorities(self) -> trainer_lib.PrioritySink | None:
        """Where new priorities go, with its counts; None where the replay samples uniformly."""
        return self._priorities

    def cancel_if_starved(self, wait_sec: float) -> bool:
        """Ends the call of `train` that goes on in another thread, if no batch came for `wait_sec` of calls to this; whether it did.

        A replay whose server has died gives neither a batch nor an error. Between batches nothing is changed half.
        """
        running, now = self._cancellation, time.perf_counter()
        if running is None or now - self._call_start_sec < _YOUNG_CALL_SEC:
            self._seen_sec = now
            return False
        batch_time = float(self._batch_time.numpy())
        if (
            batch_time != self._seen_batch_time
        ):  # which tells batches apart; its distance to now would go by a clock that may jump
            self._seen_batch_time, self._seen_sec = batch_time, now
        if now - self._seen_sec <= wait_sec:
            return False
        running.start_cancel()
        return True

    def train(self, num_steps: int) -> TrainReport:
        """Makes up to `num_steps` train steps, and sends new priorities.

        Raises:
          NumericalError: a loss, a policy variable or the spread of the observations became NaN or infinite.
        """
        first_step, start, is_starved = self.train_step, time.perf_counter(), False
        if self._iterator is None:
            self._iterator = iter(self._dataset)
        if num_steps not in self._step_counts:
            self._step_counts[num_steps] = tf.constant(num_steps)
        self._call_start_sec = start
        try:
            # One for each call: the first error, such as the end of the dataset, uses it up.
            self._cancellation = cancellation.CancellationManager()
            with cancellation.CancellationManagerContext(self._cancellation):
                counters, *new_priorities = self._train_many(self._iterator, self._step_counts[num_steps])
        except tf.errors.InvalidArgumentError as error:
            self._train_step = None
            raise _numerical_error(error, self.train_step) from error
        except (tf.errors.OutOfRangeError, tf.errors.DeadlineExceededError, tf.errors.CancelledError):
            # A dataset that gave up waiting can't go on; a new iterator can.
            self._iterator, is_starved, counters, new_priorities = None, True, self._read_counters(), []
        finally:
            self._cancellation = None
        train_step, loss_sum, clipped_sum, wait_sec, batch_time, spread = counters.numpy().tolist()
        if is_starved:
            wait_sec += max(0.0, time.time() - batch_time)
        self._train_step = int(train_step)
        done = self._train_step - first_step
        mean_loss = loss_sum / max(1, done)
        self._check_finite(mean_loss, spread, done)
        if self._priorities is not None and new_priorities:
            self._priorities.update(*(part.numpy() for part in new_priorities))
        clipped_share = clipped_sum / max(1, done) if self._has_support else None
        return TrainReport(done, mean_loss, time.perf_counter() - start, wait_sec, is_starved, clipped_share)

    def check_variables(self) -> None:
        """Looks at everything that a checkpoint would hold.

        Raises:
          NumericalError: a variable of the agent, of an optimizer or of the statistics has a NaN or an infinity.
        """
        held = [*_variables(self._trainer.agent), *self._statistics.variables]
        bad = [value.name for value in held if value.dtype.is_floating and not _is_finite(value)]
        if bad:
            raise errors.NumericalError(
                f"train step {self.train_step}: not finite: {', '.join(bad)}; no checkpoint was written"
            )

    def _train_loop(self, iterator: Any, num_steps: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The counters, and the keys and priorities of all batches where there are priorities."""
        for variable in (self._loss_sum, self._clipped_sum, self._wait_sec):
            variable.assign(tf.zeros_like(variable))
        self._batch_time.assign(tf.timestamp())
        keys = tf.TensorArray(tf.uint64, num_steps, infer_shape=False)
        new_priorities = tf.TensorArray(tf.float32, num_steps, infer_shape=False)

        def step(i: tf.Tensor, keys: tf.TensorArray, new_priorities: tf.TensorArray) -> tuple[Any, ...]:
            before = tf.timestamp()
            with tf.control_dependencies([before]):
                batch = iterator.get_next()
            with tf.control_dependencies(tf.nest.flatten(batch)):
                after = tf.timestamp()
            self._wait_sec.assign_add(tf.maximum(after - before, 0.0))  # the machine's clock may jump back
            self._batch_time.assign(after)
            # No part of a step, its counter for one, may run where the batch did not come.
            with tf.control_dependencies([after]):
                loss, step_priorities, clipped_share = self._train_one(batch)
            self._loss_sum.assign_add(loss)
            if clipped_share is not None:
                self._clipped_sum.assign_add(clipped_share)
            if self._priorities is not None:
                keys = keys.write(i, batch.keys)
                new_priorities = new_priorities.write(i, step_priorities)
            return i + 1, keys, new_priorities

        # One iteration at a time, so that the clock before the batch is read after the step before it.
        start = (tf.constant(0), keys, new_priorities)
        _, keys, new_priorities = tf.while_loop(lambda i, *_: i < num_steps, step, start, parallel_iterations=1)
        if self._priorities is None:
            return (self._counters(),)
        return self._counters(), keys.concat(), new_priorities.concat()

    def _counters(self) -> tf.Tensor:
        """Train step, sums of losses and of clipped shares, time waited, time of the last batch, sum of observations' variances, float64 [6]."""
        # In the policy's type, where an observation that float32 can't square makes it infinite.
        spread = tf.reduce_sum(tf.cast(self._statistics.variance, tf.float32))
        sums = self._loss_sum, self._clipped_sum, self._wait_sec
        values = (self._trainer.train_step, *sums, self._batch_time, spread)
        return tf.stack([tf.cast(value, tf.float64) for value in values])

    def _train_batch(self, batch: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        if self._config.scale_observations:
            self._follow_observations(batch.observation)
        weights = None
        if self._priorities is not None:
            weights = importance_weights(batch.probability, self._config.importance_exponent)
        return self._trainer.train(batch, weights)

    def _follow_observations(self, observations: tf.Tensor) -> None:
        def follow() -> None:
            self._statistics.update(observations)
            self._statistics.write_to(self._trainer.policy_variables)

        last_step = self._config.scaling_train_steps
        if last_step is None:
            follow()
        else:
            tf.cond(self._trainer.train_step < last_step, lambda: (follow(), tf.no_op())[1], tf.no_op)

    def _check_finite(self, mean_loss: float, spread: float, num_steps: int) -> None:
        if not math.isfinite(spread):
            raise errors.NumericalError(
                f"one of the {num_steps} train steps up to {self.train_step}: the variance of the observations is {spread}; one of them"
                " is beyond 1e19, which float32 can't square"
            )
        if not math.isfinite(mean_loss):
            bad = [name for name, value in self._trainer.policy_variables.items() if not _is_finite(value)]
            raise errors.NumericalError(
                f"one of the {num_steps} train steps up to {self.train_step}: the loss is {mean_loss}; policy variables that are not"
                f" finite: {', '.join(bad) or 'none'}; try a smaller learning rate or gradient clipping"
            )


def importance_weights(probabilities: tf.Tensor, exponent: float) -> tf.Tensor:
    """Weights [B] of prioritised samples: (1 / p)^beta, scaled so that the largest is 1 (arXiv 1511.05952, section 3.4).

    Args:
      probabilities: of each item at the time it was sampled [B], in (0, 1].
      exponent: beta in [0, 1].
    """
    inverse = tf.pow(tf.cast(probabilities, tf.float32), -exponent)
    return inverse / tf.reduce_max(inverse)


def _variables(agent: Any) -> list[tf.Variable]:
    """All variables of an agent, those of its optimizers too, which are no `tf.Module`s."""
    optimizers: list[Any] = [
        value for value in vars(agent).values() if isinstance(value, tf.keras.optimizers.legacy.Optimizer)
    ]
    return [*agent.variables, *(variable for optimizer in optimizers for variable in optimizer.variables())]


def _numerical_error(error: tf.errors.InvalidArgumentError, train_step: int) -> Exception:
    """What TF-Agents' own check of a loss raises as a `NumericalError`; any other error as it is."""
    if not _NO_NUMBER.search(error.message):
        return error
    return errors.NumericalError(
        f"a train step after {train_step}: the loss is not finite ({error.message.splitlines()[0]}); try a smaller learning rate or"
        " gradient clipping"
    )


def _is_finite(variable: tf.Variable) -> bool:
    return bool(tf.reduce_all(tf.math.is_finite(variable)))
