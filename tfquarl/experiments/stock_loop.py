"""The loop of TF-Agents' own collector in a run: `PyDriver` steps, variables are pulled from a container, steps go to the replay."""

from collections.abc import Callable
import dataclasses
import time
from typing import Any

from tfquarl.core import interfaces
from tfquarl.metrics import names


@dataclasses.dataclass
class StockTimes:
    """Where a collector's time went, in seconds so far.

    Attributes:
      step: in the driver: environment, policy, writing.
      pull: until the variables had come, decoded by Reverb's operation.
      load: until the policy had them.
    """

    step: float = 0.0
    pull: float = 0.0
    load: float = 0.0


class StepObserver:
    """Gives the driver's transitions to the replay, and adds up returns; a transition observer of `PyDriver`."""

    def __init__(self, sink: interfaces.TransitionSink, observations: interfaces.ObservationSink) -> None:
        """Stores the parts.

        Args:
          sink: takes the steps; `start` is called here, also for the first episode.
          observations: takes every observation that a step leads to.
        """
        self._sink, self._observations = sink, observations
        self._return = 0.0
        self.returns: list[float] = []

    def start(self, time_step: Any) -> None:
        """The first episode begins."""
        self._sink.start(time_step.observation)

    def __call__(self, transition: Any) -> None:
        """Takes (time step, action step, next time step)."""
        time_step, action_step, following = transition
        if time_step.is_last():  # the driver steps once more to reset
            self._sink.start(following.observation)
            return
        is_last = bool(following.is_last())
        terminated = is_last and float(following.discount) == 0.0
        reward = float(following.reward)
        self._sink.add(action_step.action, reward, following.observation, terminated, is_last and not terminated)
        self._observations.add(following.observation)
        self._return += reward
        if is_last:
            self.returns.append(self._return)
            self._return = 0.0


class StockLoop:
    """Steps by random actions first and then by the policy, and pulls variables every so many steps, as TF-Agents' examples do."""

    def __init__(
        self,
        environment: Any,
        policies: tuple[Any, Any],
        observer: StepObserver,
        pull: Callable[[StockTimes], None],
        explore: Callable[[int], None],
        config: "LoopConfig",
        metrics: interfaces.MetricsSink,
        blocked_sec: Callable[[], float] = float,
    ) -> None:
        """Makes the drivers.

        Args:
          environment: a `PyEnvironment`.
          policies: a random one for the first steps, and the one that is trained.
          observer: takes the steps.
          pull: brings the newest variables, and adds the time to what it is given.
          explore: sets the exploration's strength by the steps that the policy has chosen.
          config: settings.
          metrics: where reports go.
          blocked_sec: seconds that the writer has waited for the rate limiter so far.
        """
        from tf_agents.drivers import py_driver

        self._environment, self._observer = environment, observer
        self._drivers = [
            py_driver.PyDriver(environment, policy, [], [observer], max_steps=config.steps_per_run)
            for policy in policies
        ]
        self._states = [policy.get_initial_state(environment.batch_size or 1) for policy in policies]
        self._pull, self._explore, self._config = pull, explore, config
        self._metrics, self._blocked_sec = metrics, blocked_sec
        self.num_steps = 0
        self.num_pulls = 0
        self.times = StockTimes()
        self._last_report = (time.perf_counter(), 0, 0.0)

    def run(self, num_steps: int, stop: interfaces.StopSignal) -> int:
        """Collects at least `num_steps` environment steps, or until `stop`; the steps made."""
        time_step = self._environment.reset()
        self._observer.start(time_step)
        config = self._config
        while self.num_steps < num_steps and not stop.is_set():
            chosen = self.num_steps - config.initial_collect_steps
            is_random = chosen < 0
            if not is_random:
                if chosen // config.pull_steps >= self.num_pulls:
                    self._pull(self.times)
                    self.num_pulls += 1
                self._explore(chosen)
            start, blocked = time.perf_counter(), self._blocked_sec()
            driver, state = (self._drivers[not is_random], self._states[not is_random])
            time_step, self._states[not is_random] = driver.run(time_step, state)
            self.num_steps += config.steps_per_run
            self.times.step += time.perf_counter() - start - (self._blocked_sec() - blocked)
            if time.perf_counter() - self._last_report[0] >= config.report_interval_sec:
                self.report()
        return self.num_steps

    def report(self) -> None:
        """Writes a row of metrics."""
        now, blocked_sec = time.perf_counter(), self._blocked_sec()
        last_time, last_steps, last_blocked = self._last_report
        elapsed_sec = max(now - last_time, 1e-9)
        values: dict[str, float] = {
            names.ENVIRONMENT_STEPS: self.num_steps,
            names.NUMBER_OF_EPISODES: len(self._observer.returns),
            names.ENV_STEPS_PER_SEC: (self.num_steps - last_steps) / elapsed_sec,
            names.POLICY_VERSION: self.num_pulls,
            names.BLOCKED_SHARE: min((blocked_sec - last_blocked) / elapsed_sec, 1.0),
            names.STEP_SEC: self.times.step,
            names.PULL_SEC: self.times.pull,
            names.LOAD_SEC: self.times.load,
        }
        recent = self._observer.returns[-self._config.num_report_episodes :]
        if recent:
            values[names.AVERAGE_RETURN] = sum(recent) / len(recent)
        self._metrics.write(names.collect_group(self._config.index), self.num_steps, values)
        self._last_report = (now, self.num_steps, blocked_sec)


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """Settings of a `StockLoop`.

    Attributes:
      index: of the collector among the run's.
      initial_collect_steps: environment steps with random actions.
      pull_steps: environment steps between pulls of variables.
      steps_per_run: environment steps of one call of the driver.
      report_interval_sec: seconds between reports.
      num_report_episodes: latest episodes that the reported mean is taken over.
    """

    index: int
    initial_collect_steps: int
    pull_steps: int
    steps_per_run: int
    report_interval_sec: float
    num_report_episodes: int

    def __post_init__(self) -> None:
        if self.steps_per_run < 1 or self.pull_steps < self.steps_per_run:
            raise ValueError(f"pull_steps is {self.pull_steps}, needs steps_per_run ({self.steps_per_run}) or more")
