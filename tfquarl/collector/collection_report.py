"""What a collector reports of itself: TF-Agents' metrics, its speed, its policy's age, and how long its writers were blocked."""

import collections
from collections.abc import Callable

from tfquarl.collector import config as config_lib
from tfquarl.collector import policy_slot
from tfquarl.core import interfaces
from tfquarl.metrics import names
from tfquarl.metrics import statistics


class CollectionReport:
    """Gathers episodes and writes a row of metrics every `report_interval_sec`."""

    def __init__(
        self,
        metrics: interfaces.MetricsSink,
        slot: policy_slot.PolicySlot,
        config: config_lib.CollectorConfig,
        index: int,
        blocked_sec: Callable[[], float],
        clock: Callable[[], float],
        first_step: int = 0,
        first_episode: int = 0,
    ) -> None:
        """Stores its parts.

        Args:
          metrics: where the rows go.
          slot: the policy's place.
          config: settings.
          index: of the collector.
          blocked_sec: seconds that the rate limiter has made it wait so far.
          clock: seconds.
          first_step: environment steps that were made before.
          first_episode: episodes that had ended before.
        """
        self._metrics = metrics
        self._slot = slot
        self._interval_sec = config.report_interval_sec
        self._group = names.collect_group(index)
        self._blocked_sec = blocked_sec
        self._clock = clock
        self._episodes: collections.deque[tuple[float, int]] = collections.deque(maxlen=config.num_report_episodes)
        self._num_episodes = first_episode
        self._num_bad_episodes = self._num_bad_in_a_row = 0
        self._last_time, self._last_steps, self._last_blocked_sec = clock(), first_step, blocked_sec()
        self._first_time = self._last_time

    def add_episode(self, episode_return: float, num_steps: int) -> None:
        """An episode ended with this sum of rewards after so many steps."""
        self._episodes.append((episode_return, num_steps))
        self._num_episodes += 1
        self._num_bad_in_a_row = 0

    def add_bad_episode(self) -> int:
        """An episode was broken off at a NaN or an infinity; how many now were, one after another."""
        self._num_bad_episodes += 1
        self._num_bad_in_a_row += 1
        return self._num_bad_in_a_row

    def write_if_due(self, num_steps: int) -> None:
        """Writes a row if the last one is `report_interval_sec` old; `num_steps`: environment steps of the collector so far."""
        if self._clock() - self._last_time >= self._interval_sec:
            self.write(num_steps)

    def write(self, num_steps: int) -> None:
        """Writes a row now."""
        now, blocked_sec = self._clock(), self._blocked_sec()
        elapsed_sec = max(now - self._last_time, 1e-9)
        values = {
            names.ENVIRONMENT_STEPS: num_steps,
            names.NUMBER_OF_EPISODES: self._num_episodes,
            names.ENV_STEPS_PER_SEC: (num_steps - self._last_steps) / elapsed_sec,
            names.POLICY_VERSION: self._slot.version,
            names.POLICY_AGE_SEC: self._slot.policy_age_sec,
            names.POLICY_LONGEST_AGE_SEC: self._slot.longest_age_sec,
            names.BLOCKED_SHARE: min((blocked_sec - self._last_blocked_sec) / elapsed_sec, 1.0),
            names.NUM_REFUSED: self._slot.num_refused,
            names.NUM_BAD_EPISODES: self._num_bad_episodes,
            names.STEP_SEC: now - self._first_time - blocked_sec,
            names.PULL_SEC: self._slot.pull_sec,
            names.LOAD_SEC: self._slot.load_sec,
        }
        if self._slot.latencies:
            ready_sec, use_sec = zip(*((latency.ready_sec, latency.use_sec) for latency in self._slot.latencies))
            values[names.SNAPSHOT_TO_READY_P95_SEC] = statistics.percentile(ready_sec, 95)
            values[names.SNAPSHOT_TO_USE_P95_SEC] = statistics.percentile(use_sec, 95)
        if self._episodes:
            returns, lengths = zip(*self._episodes)
            values[names.AVERAGE_RETURN] = sum(returns) / len(returns)
            values[names.AVERAGE_EPISODE_LENGTH] = sum(lengths) / len(lengths)
        self._metrics.write(self._group, num_steps, values)
        self._last_time, self._last_steps, self._last_blocked_sec = now, num_steps, blocked_sec
