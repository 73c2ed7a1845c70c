"""Tests of `tfquarl.experiments.learner_arm`."""

import pytest
import tensorflow as tf

from tfquarl.experiments import learner_arm


def test_the_time_that_a_function_waits_for_batches_is_summed(monkeypatch: pytest.MonkeyPatch):
    """By a clock that goes on by 2 s while a batch is made, by 0.5 s at each look, and by 10 s in a train step."""
    clock = tf.Variable(0.0, dtype=tf.float64)
    monkeypatch.setattr(tf, "timestamp", lambda: tf.identity(clock.assign_add(0.5)))

    def make(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        clock.assign_add(2.0)
        return number, -number

    one_at_a_time = tf.data.Options()
    one_at_a_time.experimental_optimization.apply_default_optimizations = False  # nothing is made ahead
    dataset = tf.data.Dataset.range(4).map(make).with_options(one_at_a_time)
    batches = learner_arm.TimedIterator(iter(dataset))

    @tf.function
    def train(num_steps: tf.Tensor) -> tf.Tensor:
        seen = tf.zeros([2], tf.int64)
        for _ in tf.range(num_steps):
            seen = 10 * seen + tf.stack(next(batches))
            clock.assign_add(10.0)
        return seen

    assert train(tf.constant(3)).numpy().tolist() == [12, -12]
    assert batches.wait_sec == 3 * 2.5
    assert train(tf.constant(1)).numpy().tolist() == [3, -3]
    assert batches.wait_sec == 4 * 2.5
