"""A stop signal that sets itself."""

from collections.abc import Callable
import threading
import time


class DeadlineSignal:
    """Is set from a moment on; an `interfaces.StopSignal`."""

    def __init__(self, moment_sec: float, clock: Callable[[], float] = time.perf_counter) -> None:
        """Stores its arguments.

        Args:
          moment_sec: of the clock.
          clock: seconds, for tests.
        """
        self._moment_sec, self._clock = moment_sec, clock

    def is_set(self) -> bool:
        """Whether the moment has come."""
        return self._clock() >= self._moment_sec

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the moment, at most `timeout` seconds; whether it came."""
        left = max(0.0, self._moment_sec - self._clock())
        threading.Event().wait(left if timeout is None else min(left, timeout))
        return self.is_set()
