"""What all loops of a collector share: the budget, the policy in use, and what is reported."""

import abc
from collections.abc import Callable
from collections.abc import Sequence
import time

from absl import logging
import numpy as np

from tfquarl.collector import collection_report
from tfquarl.collector import config as config_lib
from tfquarl.collector import policy_slot
from tfquarl.core import errors
from tfquarl.core import interfaces

# Most rounds between looks at the stop signal, the clock and the next policy, which cost as much as a cheap environment's step; a slow
# environment makes fewer, so that the looks are about this long apart.
_MAX_ROUNDS_PER_CHECK = 32
_CHECK_SEC = 0.2


class Loop(abc.ABC):
    """Steps K environments in rounds, by uniform random actions first and then by the newest policy.

    A newer policy is swapped in when an episode ends and every few steps, since long episodes would go on with an old one; the
    other environments' episodes go on with it too. Transitions are the same whichever policy chose their actions.
    """

    def __init__(
        self,
        num_environments: int,
        slot: policy_slot.PolicySlot,
        exploration: interfaces.Exploration,
        initial_exploration: interfaces.Exploration,
        sinks: Sequence[interfaces.TransitionSink],
        observations: interfaces.ObservationSink,
        metrics: interfaces.MetricsSink,
        config: config_lib.CollectorConfig,
        index: int = 0,
        blocked_sec: Callable[[], float] = float,
        clock: Callable[[], float] = time.perf_counter,
        *,
        look_clock: Callable[[], float] | None = None,
        first_step: int = 0,
        first_episode: int = 0,
    ) -> None:
        """Stores its parts.

        Args:
          num_environments: K.
          slot: the policy's place; its policies take batches of K.
          exploration: for the policy's outputs.
          initial_exploration: for the time before; it is given the observations instead of outputs.
          sinks: K of them, one for each environment.
          observations: for calibration and parity; it is given every observation that a step leads to.
          metrics: where the reports go.
          config: settings.
          index: of this collector among the run's.
          blocked_sec: seconds that the sinks have waited for the rate limiter so far.
          clock: seconds, for tests.
          look_clock: seconds, by which looks at the next policy are spaced; a constant one leaves them to the count of steps, whatever time
            these take. `clock` where none is given.
          first_step: environment steps that were made before, by a process in whose place this one is.
          first_episode: episodes that had ended by then.
        """
        if len(sinks) != num_environments:
            raise ValueError(f"got {num_environments} environments and {len(sinks)} sinks, needs one sink for each")
        self._slot = slot
        self._exploration = exploration
        self._initial_exploration = initial_exploration
        self._sinks = sinks
        self._observations = observations
        self._config = config
        self._look_clock = look_clock or clock
        self._rounds_per_check = 1
        self._num_rounds = -(-first_step // len(sinks))
        self._report = collection_report.CollectionReport(
            metrics, slot, config, index, blocked_sec, clock, self.num_steps, first_episode
        )
        self._policy: interfaces.Policy | None = None
        self._returns = [0.0] * len(sinks)
        self._first_rounds = [0] * len(sinks)
        self._has_begun = False

    @property
    def num_steps(self) -> int:
        """Environment steps that all calls of `run` made together, and those before."""
        return self._num_rounds * len(self._sinks)

    def run(self, num_steps: int, stop: interfaces.StopSignal) -> int:
        """Collects; a further call goes on where this one ended, amid the episodes.

        Args:
          num_steps: environment steps to make, rounded up to a multiple of K.
          stop: ends the call early; it is looked at every few steps, of a slow environment at each.

        Returns:
          The environment steps made.

        Raises:
          StalePolicyError: no newer policy came for too long.
          TaskError: an environment broke.
          NumericalError: a NaN or an infinity came, and the config says to stop there, or it came too often, or right at an
            episode's start.
        """
        if not self._has_begun:
            self._has_begun = True
            self._begin()
        num_environments = len(self._sinks)
        end = self._num_rounds + -(-num_steps // num_environments)
        start = self._num_rounds
        while self._num_rounds < end and not stop.is_set():
            begun_sec = self._look_clock()
            self._collect(min(self._rounds_per_check, end - self._num_rounds))
            self._adapt(self._look_clock() - begun_sec)
            self._swap(self._num_rounds)
            self._report.write_if_due(self.num_steps)
        return (self._num_rounds - start) * num_environments

    def _adapt(self, elapsed_sec: float) -> None:
        """Chooses how many rounds come before the next look, by the time that the last ones took."""
        if elapsed_sec > _CHECK_SEC:
            self._rounds_per_check = max(1, self._rounds_per_check // 2)
        elif elapsed_sec < _CHECK_SEC / 4:
            self._rounds_per_check = min(2 * self._rounds_per_check, _MAX_ROUNDS_PER_CHECK)

    def report(self) -> None:
        """Reports now; for the end of a run."""
        self._report.write(self.num_steps)

    @abc.abstractmethod
    def _begin(self) -> None:
        """Begins the first episodes."""

    @abc.abstractmethod
    def _collect(self, num_rounds: int) -> None:
        """The hot path: some rounds, which it counts in `_num_rounds`."""

    def _note_start(self, k: int, observation: np.ndarray, num_rounds: int) -> None:
        """An episode of environment k begins with `observation` after so many rounds."""
        self._sinks[k].start(observation)
        self._returns[k], self._first_rounds[k] = 0.0, num_rounds

    def _note_end(self, k: int, num_rounds: int) -> None:
        self._report.add_episode(self._returns[k], num_rounds - self._first_rounds[k])

    def _note_bad_number(self, where: str, error: errors.NumericalError) -> None:
        """Lets an episode that met a bad number be broken off, unless that is to be an error.

        Its sink drops the windows that were still open: they led to that number.
        """
        where = f"{where}: {error}"
        num_bad = self._report.add_bad_episode()
        if self._config.stop_at_bad_numbers:
            raise errors.NumericalError(where) from error
        if num_bad >= self._config.max_bad_episodes:
            raise errors.NumericalError(
                f"{num_bad} episodes in a row were broken off, the last one in {where}"
            ) from error
        logging.error("an episode was broken off and is left, in %s", where)

    def _swap(self, num_rounds: int) -> None:
        self._slot.swap()
        if num_rounds * len(self._sinks) >= self._config.initial_collect_steps:
            self._policy = self._slot.policy
