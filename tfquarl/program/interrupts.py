"""Ctrl-C, SIGTERM and SIGHUP as a question that can be asked, instead of an exception in the middle of something, or all as that exception."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import signal
import types


class Interrupts:
    """While it is open, counts the signals with which a user ends a run. A third one ends the program at once.

    SIGHUP comes when the terminal is closed; where it is ignored already, as nohup has it, it stays so.
    """

    def __init__(self) -> None:
        self._count = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, *_ending_signals()):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self) -> bool:
        """Whether such a signal has come."""
        return self._count > 0

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        self._count += 1
        if self._count > 2:
            signal.default_int_handler(number, frame)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """While it is open, SIGTERM and SIGHUP raise `KeyboardInterrupt`, as Ctrl-C does: a program ends what it has started before itself."""
    previous = {number: signal.signal(number, signal.default_int_handler) for number in _ending_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ending_signals() -> Sequence[signal.Signals]:
    """Those that end a program besides Ctrl-C."""
    is_hangup_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM,) if is_hangup_ignored else (signal.SIGTERM, signal.SIGHUP)
