"""All stations one after another in this process: same seed, same result, steppable in a debugger.

    each round:  collectors -> replay -> learner -> (with a new snapshot) converter -> evaluator

Flow control is arithmetic here: the learner makes the train steps that `samples_per_insert` allows.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import io
import math
import time
import zipfile
import zlib

from absl import logging
import numpy as np

from tfquarl.converter import reference_process
from tfquarl.core import environment_spec
from tfquarl.core import files
from tfquarl.core import interfaces
from tfquarl.program import budget as budget_lib
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import run_directory
from tfquarl.program import stations
from tfquarl.program import transport as transport_lib

_REPLAY_FILE = "local.npz"
_ROUND_STEPS = 64  # environment steps of each collector in a round


class InProcessProgram:
    """The single-process counterpart of `Supervisor` and its nodes.

    Args:
      experiment: the configuration; its scale's num_collectors are stepped in turn.
      spec: of its environment.
      directory: of the run.
      metrics: where figures go.
      progress: what the run goes on from, and what `run` adds to.
    """

    def __init__(
        self,
        experiment: experiment_lib.Experiment,
        spec: environment_spec.EnvironmentSpec,
        directory: run_directory.RunDirectory,
        metrics: interfaces.MetricsSink,
        progress: budget_lib.Progress,
    ) -> None:
        experiment = _by_count(experiment)
        _make_deterministic(experiment)
        metrics = _CountedMetrics(metrics, progress)
        transport = transport_lib.LocalTransport(experiment, spec)
        self._experiment = experiment
        self._replay, self._observations = transport.replay, transport.observations
        self._replay_file = directory.replay / _REPLAY_FILE
        self._saved_sec = time.perf_counter()
        self._first_insert = self._first_train_step = 0
        self.progress = progress
        self._collectors = [
            stations.make_collector(experiment, spec, transport, metrics, index, progress.start_point(index))
            for index in range(experiment.scale.num_collectors)
        ]
        self._evaluator, _ = stations.make_evaluator(
            experiment, transport, directory.path, metrics, lambda: progress.final_version is not None
        )
        self._reference = reference_process.ReferenceProcess()
        self._converter = stations.make_converter(experiment, spec, transport, metrics, self._reference)
        checkpoints = directory.checkpoints
        self._learner = stations.make_learner(
            experiment, spec, transport, checkpoints, metrics, progress.newest_version
        )

    def run(
        self,
        budget: budget_lib.Budget,
        interrupted: Callable[[], bool],
        on_round: Callable[[], None] = lambda: None,
    ) -> budget_lib.Status:
        """Runs to the end of `budget`."""
        try:
            return self._run(budget, self.progress, _Interrupted(interrupted), on_round)
        finally:
            self._reference.close()

    def _run(
        self,
        budget: budget_lib.Budget,
        progress: budget_lib.Progress,
        stop: interfaces.StopSignal,
        on_round: Callable[[], None],
    ) -> budget_lib.Status:
        started_sec = time.perf_counter()
        self._restore_replay()
        self._learner.start()
        self._first_insert, self._first_train_step = self._replay.num_inserted, self._learner.train_step
        if self._replay.size:  # a run that goes on: its collectors shall not begin by random actions
            self._convert_and_judge(progress, stop)
        status = budget_lib.Status.INTERRUPTED if stop.is_set() else None
        while status is None:
            self._round(progress, stop)
            on_round()
            if time.perf_counter() - self._saved_sec >= self._experiment.replay.checkpoint_period_sec:
                self._save_replay()
            if stop.is_set():
                status = budget_lib.Status.INTERRUPTED
            elif progress.target_reached(budget.stop_at_return):
                status = budget_lib.Status.TARGET_REACHED
            elif budget.is_used(progress, time.perf_counter() - started_sec) or self._learner.is_done:
                status = budget_lib.Status.COMPLETED
        progress.final_version = self._learner.finish()
        progress.train_steps = self._learner.train_step
        self._save_replay()
        if status is budget_lib.Status.COMPLETED:
            self._convert_and_judge(progress, stop)
            if not progress.is_judged(progress.final_version):
                if stop.is_set():
                    status = budget_lib.Status.INTERRUPTED
                else:
                    logging.warning(
                        "The last policy was not judged and may be better than any that is kept: it failed parity, or could not be converted"
                        " or played, as the lines before say"
                    )
        for loop, _ in self._collectors:
            loop.report()
        return status

    def _round(self, progress: budget_lib.Progress, stop: interfaces.StopSignal) -> None:
        for index, (loop, slot) in enumerate(self._collectors):
            slot.poll_now()
            loop.run(_ROUND_STEPS, stop)
            progress.env_steps[index] = loop.num_steps
        self._learner.step(self._train_steps_due())
        progress.train_steps = self._learner.train_step
        self._convert_and_judge(progress, stop)

    def _convert_and_judge(self, progress: budget_lib.Progress, stop: interfaces.StopSignal) -> None:
        if self._converter.step():
            evaluation = self._evaluator.step(stop)
            if evaluation is not None:
                progress.add_evaluation(evaluation.to_json())

    def _save_replay(self) -> None:
        data = io.BytesIO()
        np.savez(data, **self._replay.state(), **self._observations.state())
        files.write_atomically(self._replay_file, data.getvalue())
        self._saved_sec = time.perf_counter()

    def _restore_replay(self) -> None:
        if not self._replay_file.exists():
            return
        try:
            with np.load(io.BytesIO(self._replay_file.read_bytes()), allow_pickle=False) as arrays:
                state = dict(arrays)  # all of them, before any is taken
            self._replay.restore(state)
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            logging.warning(
                "%s can't be read and is passed over, the replay begins empty: %s; was it altered?",
                self._replay_file,
                error,
            )
            return
        self._observations.restore(state)

    def _train_steps_due(self) -> int:
        """Train steps that bring the samples taken to `samples_per_insert` times the transitions inserted, since this process began.

        What came before is settled: a replay that was lost must not keep the learner waiting for as many transitions once more.
        """
        config, batch_size = self._experiment.replay, self._experiment.learner.batch_size
        num_inserted = self._replay.num_inserted
        if num_inserted < config.min_size_to_sample:
            return 0
        samples_per_insert = config.samples_per_insert or 1.0
        num_new = num_inserted - max(self._first_insert, config.min_size_to_sample)
        due = int(num_new * samples_per_insert / batch_size)
        return max(0, due - (self._learner.train_step - self._first_train_step))


class _CountedMetrics:
    """Figures on their way into the metrics, counted as those of processes are."""

    def __init__(self, metrics: interfaces.MetricsSink, progress: budget_lib.Progress) -> None:
        self._metrics, self._progress = metrics, progress

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        self._progress.count(group, step, values)
        self._metrics.write(group, step, values)


class _Interrupted:
    """The user's wish to end the run as a `StopSignal`; nothing waits for it here."""

    def __init__(self, interrupted: Callable[[], bool]) -> None:
        self.is_set = interrupted

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it has come."""
        del timeout
        return self.is_set()


def _by_count(experiment: experiment_lib.Experiment) -> experiment_lib.Experiment:
    """The experiment with nothing left to the clock: a slow moment, or one in a debugger, changes nothing."""
    learner = dataclasses.replace(experiment.learner, min_snapshot_period_sec=0.0, max_snapshot_period_sec=math.inf)
    collector = dataclasses.replace(experiment.collector, max_policy_age_sec=math.inf)
    return dataclasses.replace(experiment, learner=learner, collector=collector)


def _make_deterministic(experiment: experiment_lib.Experiment) -> None:
    """One thread, so that sums are taken in one order. TensorFlow's own op determinism forbids the learner's clock."""
    import tensorflow as tf

    from tfquarl.learner import tensorflow_runtime

    tensorflow_runtime.configure(dataclasses.replace(experiment.learner, intra_op_threads=1, inter_op_threads=1))
    tf.keras.utils.set_random_seed(experiment.seed)
