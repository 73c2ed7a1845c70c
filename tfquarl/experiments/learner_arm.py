"""Train steps on batches from a real replay: this project's learner, TF-Agents' own, and bare matrix products. All import TensorFlow."""

from collections.abc import Iterator
import dataclasses
import tempfile
import threading
import time
from typing import Any

import numpy as np

from tfquarl.agents import agent_builder
from tfquarl.core import environment_spec
from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import collector_arm
from tfquarl.experiments import stock_agent
from tfquarl.experiments import stock_collector
from tfquarl.learner import learner_config
from tfquarl.program import experiment as experiment_lib
from tfquarl.replay import transition

_NUM_FILL = 4_000
_PRODUCTS_PER_CALL = 32


class LearnerArm:
    """Calls something that makes train steps; an `alternation.Arm` that counts train steps."""

    def __init__(self, train: Any) -> None:
        """Stores its argument and lets it trace.

        Args:
          train: makes some train steps; gives their number and the seconds that they waited for batches.
        """
        self._train = train
        train()

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`."""
        start, cpu, count, wait_sec = time.perf_counter(), time.process_time(), 0, 0.0
        while True:
            num_steps, waited = self._train()
            count, wait_sec = count + num_steps, wait_sec + waited
            elapsed = time.perf_counter() - start
            if elapsed >= duration_sec:
                return alternation.Slice(count, elapsed, time.process_time() - cpu, wait_sec)


class TimedIterator:
    """An iterator of a `tf.data.Dataset` for TensorFlow functions, which sums the time that they wait for its batches.

    The clock is read as `learner.policy_learner` reads its own: before a batch is asked for, and before anything is done with it.
    """

    def __init__(self, iterator: Iterator[Any]) -> None:
        """Stores the iterator."""
        import tensorflow as tf

        self._iterator = iterator
        self._wait_sec = tf.Variable(tf.zeros([], tf.float64), trainable=False)

    @property
    def wait_sec(self) -> float:
        """Seconds waited so far."""
        return float(self._wait_sec.numpy())

    def __iter__(self) -> "TimedIterator":
        return self

    def __next__(self) -> Any:
        import tensorflow as tf

        before = tf.timestamp()
        with tf.control_dependencies([before]):
            batch = next(self._iterator)
        with tf.control_dependencies(tf.nest.flatten(batch)):
            after = tf.timestamp()
        with tf.control_dependencies([after]):
            self._wait_sec.assign_add(tf.maximum(after - before, 0.0))  # the machine's clock may jump back
            return tf.nest.map_structure(tf.identity, batch)


def make_own(
    experiment: experiment_lib.Experiment,
    agent: agent_builder.AgentBuilder,
    config: learner_config.LearnerConfig,
    address: str,
    name: str,
) -> LearnerArm:
    """This project's learner with `agent`, on random transitions that it writes to the server at `address` first."""
    from tfquarl.agents import agent_trainer
    from tfquarl.environments import registry
    from tfquarl.learner import policy_learner
    from tfquarl.learner import tensorflow_runtime
    from tfquarl.program import transport as transport_lib

    tensorflow_runtime.configure(config)
    spec = registry.spec(name)
    experiment = dataclasses.replace(experiment, agent=agent, learner=config)
    transport = transport_lib.ReverbTransport(experiment, spec, address, collector_arm.KEY, threading.Event())
    writer = transport.transition_writer()
    writer.write(_random_rows(transition.TransitionLayout.from_spec(spec), spec))
    writer.flush()
    trainer = agent_trainer.AgentTrainer(agent, spec)
    learner = policy_learner.PolicyLearner(trainer, transport.batches(config.batch_size), config)

    def train() -> tuple[int, float]:
        report = learner.train(config.steps_per_call)
        return report.num_steps, report.wait_sec

    return LearnerArm(train)


def make_stock(
    name: str, hidden_sizes: tuple[int, ...], config: learner_config.LearnerConfig, address: str
) -> LearnerArm:
    """TF-Agents' agent and `Learner`, on random steps that its own observer writes to the server at `address` first."""
    from tf_agents.replay_buffers import reverb_replay_buffer
    from tf_agents.replay_buffers import reverb_utils
    from tf_agents.train import learner as learner_lib

    from tfquarl.learner import tensorflow_runtime

    tensorflow_runtime.configure(config)
    environment = stock_agent.load_environment(name)
    agent = stock_agent.make_agent(environment.time_step_spec(), environment.action_spec(), hidden_sizes)
    table = stock_collector.TABLE
    replay = reverb_replay_buffer.ReverbReplayBuffer(
        agent.collect_data_spec, table_name=table, sequence_length=2, server_address=address
    )
    observer = reverb_utils.ReverbAddTrajectoryObserver(replay.py_client, table, sequence_length=2, stride_length=1)
    stock_agent.write_random_steps(environment, observer, _NUM_FILL)

    def dataset() -> Any:
        return replay.as_dataset(sample_batch_size=config.batch_size, num_steps=2).prefetch(4)

    learner = learner_lib.Learner(
        tempfile.mkdtemp(),
        agent.train_step_counter,
        agent,
        experience_dataset_fn=dataset,
        checkpoint_interval=1 << 40,
        max_checkpoints_to_keep=1,
    )
    batches = TimedIterator(iter(dataset()))  # in place of the learner's own iterator, which tells nothing

    def train() -> tuple[int, float]:
        past_sec = batches.wait_sec
        learner.run(iterations=config.steps_per_call, iterator=batches)
        return config.steps_per_call, batches.wait_sec - past_sec

    return LearnerArm(train)


def _random_rows(layout: transition.TransitionLayout, spec: environment_spec.EnvironmentSpec) -> np.ndarray:
    """Transitions float32 [_NUM_FILL, row_size] with possible actions."""
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((_NUM_FILL, layout.row_size)).astype(np.float32)
    actions = benchmark_task.random_actions(spec, _NUM_FILL, generator)
    rows[:, layout.action] = np.reshape(actions, (_NUM_FILL, -1))
    rows[:, layout.discount] = 1.0
    return rows


class MatrixProducts:
    """Products [rows, width] x [width, width] of TensorFlow; an `alternation.Arm` that counts floating-point operations."""

    def __init__(self, rows: int, width: int, dtype: str, config: learner_config.LearnerConfig) -> None:
        """Makes the matrices.

        Args:
          rows: of the left matrix, as many as a batch has.
          width: of both.
          dtype: 'float32' or 'bfloat16'.
          config: tells the threads.
        """
        import tensorflow as tf

        from tfquarl.learner import tensorflow_runtime

        tensorflow_runtime.configure(config)
        left = tf.cast(tf.random.normal([rows, width]), dtype)
        right = tf.cast(tf.random.normal([width, width]) / np.sqrt(width), dtype)

        @tf.function
        def multiply() -> tf.Tensor:
            product = left
            for _ in tf.range(_PRODUCTS_PER_CALL):
                product = tf.matmul(product, right)
            return product[0, 0]

        self._multiply = multiply
        self._flops_per_call = _PRODUCTS_PER_CALL * 2 * rows * width * width
        multiply()

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`."""
        start, cpu, count = time.perf_counter(), time.process_time(), 0
        while True:
            self._multiply().numpy()
            count += self._flops_per_call
            elapsed = time.perf_counter() - start
            if elapsed >= duration_sec:
                return alternation.Slice(count, elapsed, time.process_time() - cpu)
