"""Signs of life: a process that looks at its stop signal is alive, and one that has not for a long time hangs.

Every station looks at its stop signal between any two things that it does and while it waits for others: an environment or a converter
that hangs keeps it from that. So no station knows of heartbeats.
"""

from collections.abc import Callable
import math
import threading
import time

from tfquarl.program import channel

_PERIOD_SEC = 1.0

KIND = "alive"
"""Kind of the messages."""


class WatchedStop(threading.Event):
    """A stop signal that counts how often the thread that made it looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self._owner = threading.get_ident()
        self.num_looks = 0

    def is_set(self) -> bool:
        """Whether to stop."""
        self._note()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for the signal, up to `timeout` seconds; whether it came."""
        end = math.inf if timeout is None else time.perf_counter() + timeout
        while not super().wait(max(0.0, min(_PERIOD_SEC, end - time.perf_counter()))):
            self._note()
            if time.perf_counter() >= end:
                return False
        return True

    def _note(self) -> None:
        if threading.get_ident() == self._owner:  # the station's other threads may be alive when it is not
            self.num_looks += 1


def send_from(stop: WatchedStop, sender: channel.Sender, period_sec: float = _PERIOD_SEC) -> None:
    """Starts a thread that tells the launcher every `period_sec` that `stop` was looked at, if it was."""
    never = threading.Event()

    def send() -> None:
        last = -1
        while not never.wait(period_sec):
            if stop.num_looks != last:
                last = stop.num_looks
                sender.send(KIND)

    threading.Thread(target=send, name="heartbeat", daemon=True).start()


class Deadlines:
    """The launcher's side: which processes have not been heard of for too long.

    Silence counts up to when the launcher listened last: a terminal or a disk that holds it up afterwards makes nobody silent.

    Args:
      timeout_sec: how long that is.
      clock: seconds.
    """

    def __init__(self, timeout_sec: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self.timeout_sec = timeout_sec
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._listened_sec = clock()

    def heard(self, name: str) -> None:
        """A process has begun, or said something."""
        self._heard[name] = self._clock()

    def listen(self) -> None:
        """What the processes have said until now is about to be taken."""
        self._listened_sec = self._clock()

    def forget(self, name: str) -> None:
        """A process has ended."""
        self._heard.pop(name, None)

    def overdue(self) -> list[str]:
        """The processes that hang."""
        return [name for name, heard in self._heard.items() if self._listened_sec - heard > self.timeout_sec]
