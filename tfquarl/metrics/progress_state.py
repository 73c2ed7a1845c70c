"""What the progress display shows: counts, rates and the newest figures of a run, apart from how they are drawn."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import math
import time

from tfquarl.metrics import names

_RATE_WINDOW_SEC = 10.0
_ETA_WINDOW_SEC = 60.0
_LEAST_SEC = 1.0  # counts that come together, after a moment in which nobody listened, tell nothing of speed


@dataclasses.dataclass(frozen=True)
class ProgressView:
    """A run at one moment; None where nothing is known yet.

    Attributes:
      elapsed_sec: since the display began.
      env_steps: of all collectors together.
      num_env_steps: the budget.
      env_steps_per_sec: over the last 10 seconds.
      train_steps: of the learner.
      train_steps_per_sec: over the last 10 seconds.
      int8_return: mean return of the int8 policy that was judged last.
      best_int8_return: the highest of these so far.
      float32_return: mean return of the float policy beside the last int8 one.
      collectors_waiting: share of the time, in [0, 1], for which flow control made the collectors wait, their mean.
      learner_waiting: the same of the learner.
      policy_version: the oldest version that a collector acts by.
      policy_age_sec: age of the oldest policy that a collector acts by.
      eta_sec: until the budget is used, at the speed of the last minute, or the run's time is.
      processes: what each process does, by its name.
      awaited: what the end of the run waits for, in words.
    """

    elapsed_sec: float
    env_steps: int
    num_env_steps: int
    env_steps_per_sec: float | None
    train_steps: int
    train_steps_per_sec: float | None
    int8_return: float | None
    best_int8_return: float | None
    float32_return: float | None
    collectors_waiting: float | None
    learner_waiting: float | None
    policy_version: int | None
    policy_age_sec: float | None
    eta_sec: float | None
    processes: Mapping[str, str]
    awaited: str | None = None

    @property
    def fraction(self) -> float:
        """Share of the budget that is used, in [0, 1]."""
        return min(1.0, self.env_steps / self.num_env_steps)


class RateMeter:
    """Events per second over the last `window_sec`, of a count that is told now and then."""

    def __init__(self, window_sec: float) -> None:
        self._window_sec = window_sec
        self._samples: collections.deque[tuple[float, float]] = collections.deque()

    def update(self, time_sec: float, count: float) -> None:
        """The count was `count` at `time_sec`."""
        samples = self._samples
        samples.append((time_sec, count))
        while len(samples) > 2 and samples[1][0] <= time_sec - self._window_sec:
            samples.popleft()

    def rate(self, now_sec: float) -> float | None:
        """Per second; None before samples are a second apart. After half a window of silence it sinks towards 0."""
        if not self._samples:
            return None
        (first_sec, first), (last_sec, last) = self._samples[0], self._samples[-1]
        if last_sec - first_sec < _LEAST_SEC:
            return None
        end_sec = now_sec if now_sec - last_sec > self._window_sec / 2 else last_sec
        return (last - first) / (end_sec - first_sec)


class _CollectorMeters:
    """Environment steps per second of all collectors: each has a meter of its own, as they do not report at the same moment."""

    def __init__(self, window_sec: float) -> None:
        self._window_sec = window_sec
        self._meters: dict[str, RateMeter] = {}

    def update(self, group: str, time_sec: float, env_steps: int) -> None:
        self._meters.setdefault(group, RateMeter(self._window_sec)).update(time_sec, env_steps)

    def rate(self, now_sec: float) -> float | None:
        """Their sum; None before that of each is known."""
        rates = [meter.rate(now_sec) for meter in self._meters.values()]
        known = [rate for rate in rates if rate is not None]
        return sum(known) if rates and len(known) == len(rates) else None


class ProgressState:
    """Gathers the rows of a run into a `ProgressView`."""

    def __init__(
        self,
        num_env_steps: int,
        clock: Callable[[], float] = time.perf_counter,
        max_wall_time_sec: float | None = None,
    ) -> None:
        """Begins a run.

        Args:
          num_env_steps: the budget, >= 1.
          clock: seconds, never going back.
          max_wall_time_sec: from now on, after which the run ends in any case; None never.
        """
        if num_env_steps < 1:
            raise ValueError(f"num_env_steps is {num_env_steps}, needs to be at least 1")
        self._num_env_steps = num_env_steps
        self._clock, self._start_sec = clock, clock()
        self._max_wall_time_sec = math.inf if max_wall_time_sec is None else max_wall_time_sec
        self._env_steps: dict[str, int] = {}
        self._train_steps = 0
        self._env_rate, self._train_rate = _CollectorMeters(_RATE_WINDOW_SEC), RateMeter(_RATE_WINDOW_SEC)
        self._eta_rate = _CollectorMeters(_ETA_WINDOW_SEC)
        self._int8_return = self._best_int8_return = self._float32_return = None
        self._waiting: dict[str, float] = {}
        self._versions: dict[str, float] = {}
        self._ages: dict[str, float] = {}
        self._processes: dict[str, str] = {}
        self._awaited: str | None = None

    def update(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Takes a row of metrics, as a `MetricsSink` does."""
        if group.startswith(f"{names.COLLECT}/"):
            self._update_collector(group, step, values)
        elif group == names.TRAIN:
            self._train_steps = step
            self._train_rate.update(self._clock(), step)
            _keep(self._waiting, group, values.get(names.BLOCKED_SHARE))
        elif group == names.EVAL:
            self._update_returns(values)

    def set_process(self, name: str, state: str) -> None:
        """Says what a process does now, e.g. 'learner' 'waits for data'."""
        self._processes[name] = state

    def set_awaited(self, what: str) -> None:
        """Says what the end of the run waits for, e.g. 'judging the last policy'."""
        self._awaited = what

    def view(self) -> ProgressView:
        """The run at this moment."""
        now_sec, env_steps = self._clock(), sum(self._env_steps.values())
        eta_rate = self._eta_rate.rate(now_sec)
        waiting = [share for group, share in self._waiting.items() if group != names.TRAIN]
        remaining = max(0, self._num_env_steps - env_steps)
        time_left_sec = max(0.0, self._start_sec + self._max_wall_time_sec - now_sec)
        return ProgressView(
            elapsed_sec=now_sec - self._start_sec,
            env_steps=env_steps,
            num_env_steps=self._num_env_steps,
            env_steps_per_sec=self._env_rate.rate(now_sec),
            train_steps=self._train_steps,
            train_steps_per_sec=self._train_rate.rate(now_sec),
            int8_return=self._int8_return,
            best_int8_return=self._best_int8_return,
            float32_return=self._float32_return,
            collectors_waiting=sum(waiting) / len(waiting) if waiting else None,
            learner_waiting=self._waiting.get(names.TRAIN),
            policy_version=int(min(self._versions.values())) if self._versions else None,
            policy_age_sec=max(self._ages.values(), default=None),
            eta_sec=min(time_left_sec, remaining / eta_rate) if eta_rate else None,
            processes=dict(self._processes),
            awaited=self._awaited,
        )

    def _update_collector(self, group: str, step: int, values: Mapping[str, float]) -> None:
        self._env_steps[group] = step
        now_sec = self._clock()
        self._env_rate.update(group, now_sec, step)
        self._eta_rate.update(group, now_sec, step)
        _keep(self._waiting, group, values.get(names.BLOCKED_SHARE))
        if values.get(names.POLICY_VERSION):  # 0 while it has none
            _keep(self._versions, group, values[names.POLICY_VERSION])
            _keep(self._ages, group, values.get(names.POLICY_AGE_SEC))

    def _update_returns(self, values: Mapping[str, float]) -> None:
        self._float32_return = values.get(names.FLOAT32_AVERAGE_RETURN, self._float32_return)
        value = values.get(names.AVERAGE_RETURN)
        if value is not None:
            self._int8_return = value
            self._best_int8_return = value if self._best_int8_return is None else max(value, self._best_int8_return)


def _keep(newest: dict[str, float], group: str, value: float | None) -> None:
    """Remembers a figure of a group, if it is one."""
    if value is not None and math.isfinite(value):
        newest[group] = value
