"""The learner as a station: trains, gives snapshots, writes checkpoints and reports, until it is told to stop."""

import threading
import time

from absl import logging

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.learner import checkpointing
from tfquarl.learner import learner_config
from tfquarl.learner import policy_learner
from tfquarl.learner import snapshot_trigger
from tfquarl.metrics import names

_WATCH_SEC = 0.25
_STARVED_SEC = 3.0  # longer than a living server's replay leaves the learner without an answer
_DEAD_SEC = 10.0  # the same where there is time to be sure
_CLIPPED_TOO_MUCH = 0.1


class LearnerStation:
    """Runs the learner. `run` is for a process of its own, `step` for a program that takes all stations in turn."""

    def __init__(
        self,
        learner: policy_learner.PolicyLearner,
        trigger: snapshot_trigger.SnapshotTrigger,
        checkpoints: checkpointing.Checkpointing,
        metrics: interfaces.MetricsSink,
        config: learner_config.LearnerConfig,
    ) -> None:
        """Stores the parts."""
        self._learner = learner
        self._trigger = trigger
        self._checkpoints = checkpoints
        self._metrics = metrics
        self._config = config
        self._window = _Window()
        self._times_back = self._num_gone_back = 0
        self._has_warned = False
        self._last_checkpoint_time = time.perf_counter()

    @property
    def train_step(self) -> int:
        """Train steps made so far, those before a restart included."""
        return self._learner.train_step

    @property
    def is_done(self) -> bool:
        """Whether `max_train_steps` are made."""
        return self._config.max_train_steps is not None and self.train_step >= self._config.max_train_steps

    def start(self) -> None:
        """Restores the newest checkpoint, if there is one, and pushes a snapshot before the first train step.

        Raises:
          ConfigError: the checkpoint is of another network, or there are some and none can be read.
        """
        path = self._checkpoints.restore()
        self._learner.notice_restored()
        if path:
            logging.info("Restored %s: train step %d, snapshot %d", path, self.train_step, self._trigger.version)
        self._trigger.push(self.train_step)

    def run(self, stop: interfaces.StopSignal) -> int:
        """Trains until `stop` or `max_train_steps`; the version of the final snapshot.

        Raises:
          NumericalError: as `step`.
          ConfigError: as `start`.
        """
        self.start()
        has_ended = threading.Event()
        threading.Thread(target=self._free_when_starved, args=(stop, has_ended), name="starved", daemon=True).start()
        try:
            while not stop.is_set() and not self.is_done:
                self.step(self._config.steps_per_call)
        finally:
            has_ended.set()
        return self.finish()

    def _free_when_starved(self, stop: interfaces.StopSignal, has_ended: threading.Event) -> None:
        """Ends waits for a batch that a server that has died will never give: the next one may, or `stop` is seen."""
        while not has_ended.wait(_WATCH_SEC):
            if self._learner.cancel_if_starved(_STARVED_SEC if stop.is_set() else _DEAD_SEC):
                logging.warning("The replay gave no batch and no answer; asked anew")

    def step(self, num_steps: int) -> int:
        """Makes up to `num_steps` train steps and what is due after them; the train steps made.

        After a NaN or an infinity it stands where its newest checkpoint was written, and has made none.

        Raises:
          NumericalError: a loss or a variable became NaN or infinite, and the config says to stop there, or there is no way back.
        """
        if self._config.max_train_steps is not None:
            num_steps = min(num_steps, self._config.max_train_steps - self.train_step)
        if num_steps <= 0:
            return 0
        try:
            return self._train(num_steps)
        except errors.NumericalError as error:
            self._go_back(error)
            return 0

    def finish(self) -> int:
        """Pushes the final snapshot, writes the final checkpoint and the last metrics; the snapshot's version."""
        try:
            self._trigger.push(self.train_step)
            self._save()
        except errors.NumericalError as error:
            self._go_back(error)
        self._report()
        return self._trigger.version

    def _train(self, num_steps: int) -> int:
        report = self._learner.train(num_steps)
        self._trigger(self.train_step)
        self._window.add(report)
        if self._window.age_sec >= self._config.metrics_period_sec:
            self._report()
        if time.perf_counter() - self._last_checkpoint_time >= self._config.checkpoint_period_sec:
            self._save()
        return report.num_steps

    def _go_back(self, error: errors.NumericalError) -> None:
        """Restores the newest checkpoint and gives it away, unless bad numbers are to be an error, or come again and again."""
        if self._config.stop_at_bad_numbers:
            raise error
        if self._times_back >= self._config.max_times_back:
            raise errors.NumericalError(
                f"{error}; it came again {self._times_back} times after the same checkpoint"
            ) from error
        path = self._checkpoints.restore()
        self._learner.notice_restored()
        if path is None:
            raise errors.NumericalError(f"{error}; there is no checkpoint yet to go back to") from error
        self._times_back += 1
        self._num_gone_back += 1
        logging.error("Gone back to %s, train step %d: %s", path, self.train_step, error)
        self._trigger.push(self.train_step)

    def _save(self) -> None:
        self._learner.check_variables()
        self._checkpoints.save(self.train_step)
        self._last_checkpoint_time = time.perf_counter()
        self._times_back = 0

    def _report(self) -> None:
        values = self._window.metrics()
        if values:
            values |= {names.SNAPSHOT_VERSION: self._trigger.version, names.NUM_GONE_BACK: self._num_gone_back}
            priorities = self._learner.priorities
            if priorities is not None:
                values[names.NUM_UPDATED_PRIORITIES] = priorities.num_updated
                values[names.NUM_DROPPED_PRIORITIES] = priorities.num_dropped
            self._warn_of_support(values.get(names.CLIPPED_SHARE, 0.0))
            self._metrics.write(names.TRAIN, self.train_step, values)
        self._window = _Window()

    def _warn_of_support(self, clipped_share: float) -> None:
        """Says once that the returns lie outside of what the critic can tell: its loss is small then, whatever the policy does."""
        if clipped_share > _CLIPPED_TOO_MUCH and not self._has_warned:
            self._has_warned = True
            logging.warning(
                "%.0f %% of the returns that are learned from lie outside of v_min .. v_max of the agent; set them to the least and the"
                " largest reward of a step times 1 / (1 - discount)",
                100 * clipped_share,
            )


class _Window:
    """Sums of the reports since the last metrics."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._num_steps = 0
        self._loss_sum = self._clipped_sum = 0.0
        self._has_support = False
        self._wait_sec = 0.0

    @property
    def age_sec(self) -> float:
        return time.perf_counter() - self._start

    def add(self, report: policy_learner.TrainReport) -> None:
        self._num_steps += report.num_steps
        self._loss_sum += report.mean_loss * report.num_steps
        self._wait_sec += report.wait_sec
        if report.clipped_share is not None:
            self._has_support = True
            self._clipped_sum += report.clipped_share * report.num_steps

    def metrics(self) -> dict[str, float]:
        """By name; none where no step was made."""
        if not self._num_steps:
            return {}
        age = self.age_sec
        clipped = {names.CLIPPED_SHARE: self._clipped_sum / self._num_steps} if self._has_support else {}
        return {
            names.LOSS: self._loss_sum / self._num_steps,
            **clipped,
            names.TRAIN_STEPS_PER_SEC: self._num_steps / age,
            names.BLOCKED_SHARE: min(1.0, self._wait_sec / age),
        }
