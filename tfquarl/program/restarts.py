"""Which of a run's processes are started again, after what time, and when that is given up."""

import collections
from collections.abc import Callable
import dataclasses
import time

from tfquarl.core import errors

SERVER_START_SEC = 90.0
"""In which a server says its address; it reads the replay's last checkpoint first."""


@dataclasses.dataclass(frozen=True)
class SupervisionConfig:
    """What becomes of processes that die or hang.

    Attributes:
      max_deaths: deaths of one process within `death_window_sec` that it is started again after; one more ends the run. 0 ends it with the
        first.
      death_window_sec: seconds after which a death is forgotten.
      first_backoff_sec: seconds from a first death to the new start; each further one within the window doubles them.
      max_backoff_sec: the longest such time.
      heartbeat_timeout_sec: seconds without a sign of life after which a process counts as hung, and is killed. It has to be longer than
        anything that a process does in one go: an environment's step, a conversion, the learner's first train step.
    """

    max_deaths: int = 5
    death_window_sec: float = 300.0
    first_backoff_sec: float = 0.5
    max_backoff_sec: float = 30.0
    heartbeat_timeout_sec: float = 120.0

    @property
    def server_silence_sec(self) -> float:
        """How long the server's clients wait for its answer: it may be writing a checkpoint, or hang, be killed and come back."""
        return self.heartbeat_timeout_sec + SERVER_START_SEC

    def __post_init__(self) -> None:
        if self.max_deaths < 0:
            raise errors.ConfigError(f"max_deaths is {self.max_deaths}, needs 0 or more")
        for name in ("death_window_sec", "first_backoff_sec", "max_backoff_sec", "heartbeat_timeout_sec"):
            if not getattr(self, name) > 0:
                raise errors.ConfigError(f"{name} is {getattr(self, name)}, needs more than 0")


class Restarts:
    """Counts the deaths of processes by name, and knows whose time to be started again has come.

    Args:
      config: limits and times.
      clock: seconds.
    """

    def __init__(self, config: SupervisionConfig, clock: Callable[[], float] = time.perf_counter) -> None:
        self._config = config
        self._clock = clock
        self._deaths: dict[str, collections.deque[float]] = collections.defaultdict(collections.deque)
        self._due: dict[str, float] = {}

    def died(self, name: str) -> float | None:
        """Notes a death: seconds until the process is due again, or None if it has died too often."""
        now, deaths = self._clock(), self._deaths[name]
        deaths.append(now)
        while now - deaths[0] > self._config.death_window_sec:
            deaths.popleft()
        if len(deaths) > self._config.max_deaths:
            return None
        backoff_sec = min(self._config.first_backoff_sec * 2 ** (len(deaths) - 1), self._config.max_backoff_sec)
        self._due[name] = now + backoff_sec
        return backoff_sec

    def num_deaths(self, name: str) -> int:
        """Deaths of a process that are not forgotten yet."""
        return len(self._deaths[name])

    def due(self) -> list[str]:
        """The processes whose time has come."""
        now = self._clock()
        return [name for name, due in self._due.items() if due <= now]

    def cancel(self, name: str) -> None:
        """A process has been started again, or is not wanted any more."""
        self._due.pop(name, None)
