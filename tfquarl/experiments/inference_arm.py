"""A policy alone: one observation after another through one way of running it."""

from collections.abc import Callable
from collections.abc import Mapping
import time
from typing import Any

import numpy as np

from tfquarl.experiments import alternation
from tfquarl.networks import architecture as architecture_lib

_CALLS_PER_CHECK = 8


class InferenceArm:
    """Calls a policy with real observations in turn; an `alternation.Arm` that counts calls."""

    def __init__(self, policy: Callable[[np.ndarray], Any], observations: np.ndarray) -> None:
        """Stores its arguments.

        Args:
          policy: takes float32 [1, D].
          observations: float32 [N, D].
        """
        self._policy = policy
        self._batches = [np.ascontiguousarray(row[np.newaxis], np.float32) for row in observations]
        self._next = 0

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`."""
        policy = self._policy
        start, cpu, count = time.perf_counter(), time.process_time(), 0
        while True:
            calls = self._batches[self._next : self._next + _CALLS_PER_CHECK]
            for batch in calls:
                policy(batch)
            self._next = (self._next + len(calls)) % len(self._batches)
            count += len(calls)
            elapsed = time.perf_counter() - start
            if elapsed >= duration_sec:
                return alternation.Slice(count, elapsed, time.process_time() - cpu)

    def outputs(self, count: int) -> list[list[float]]:
        """Outputs of the first `count` observations, to see that all arms run the same policy."""
        return [np.asarray(self._policy(batch))[0].tolist() for batch in self._batches[:count]]


def make_own(model: bytes, observations: np.ndarray) -> InferenceArm:
    """This project's interpreter, as collectors have it."""
    from tfquarl.runtime import interpreter

    return InferenceArm(interpreter.PolicyInterpreter(model), observations)


def make_tensorflow_lite(model: bytes, observations: np.ndarray) -> InferenceArm:
    """The interpreter that TensorFlow itself brings, called as cheaply."""
    from tensorflow.lite.python import interpreter

    from tfquarl.runtime import model_runner

    return InferenceArm(model_runner.ModelRunner(model, library=interpreter), observations)


def make_tensorflow(
    architecture: architecture_lib.PolicyArchitecture, variables: Mapping[str, np.ndarray], observations: np.ndarray
) -> InferenceArm:
    """A `tf.function` of the float32 network on one thread, numpy in and out."""
    import tensorflow as tf

    from tfquarl.networks import policy_network

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = policy_network.PolicyNetwork(architecture)
    network.assign(variables, "the benchmark's policy")

    @tf.function(input_signature=[tf.TensorSpec([1, architecture.observation_size], tf.float32)])
    def act(observation: tf.Tensor) -> tf.Tensor:
        return network(observation)[0]

    return InferenceArm(lambda observation: act(tf.constant(observation)).numpy(), observations)
