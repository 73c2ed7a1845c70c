"""Deadlines for calls that have none of their own, and for waits that a stop signal must end."""

import atexit
from collections.abc import Callable
import queue
import threading
import time
from typing import Any
from typing import Generic
from typing import TypeVar
import weakref

from tfquarl.core import errors
from tfquarl.core import interfaces

STOP_POLL_SEC = 0.25

# A call into C++ that comes back while the interpreter is being taken down aborts the process: its end waits so long for late ones.
_EXIT_GRACE_SEC = 4.0

_T = TypeVar("_T")


class StoppedError(Exception):
    """The station was told to end while it waited."""


class Caller:
    """Makes calls that may block for ever, one at a time, in a thread that is left behind where they do.

    A call that missed its deadline is not cut off, as nothing can do that: the next call waits for its end first, so that a dead
    server costs one thread and not one per call. For one thread at a time.
    """

    def __init__(self, timeout_sec: float, stop: interfaces.StopSignal | None = None) -> None:
        """Stores the limits; the thread starts with the first call.

        Args:
          timeout_sec: time that each call may take.
          stop: ends a call's wait early.
        """
        self._timeout_sec = timeout_sec
        self._stop = stop
        self._calls: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._late: _Call[Any] | None = None

    def call(self, what: str, function: Callable[..., _T], *args: Any) -> _T:
        """What `function(*args)` returns or raises.

        Args:
          what: the call, for the message, e.g. 'polling table policy of localhost:1234'.
          function: to call.
          *args: its arguments.

        Raises:
          RemoteTimeoutError: it, or the late call before it, did not end in time.
          StoppedError: the stop signal came first.
        """
        end = time.perf_counter() + self._timeout_sec
        if self._late is not None:
            self._wait(self._late, what, end)
            self._late = None
        call = _Call(function, args)
        if self._thread is None:
            self._thread = threading.Thread(target=_serve, args=(self._calls,), name="deadline", daemon=True)
            self._thread.start()
            weakref.finalize(self, self._calls.put, None).atexit = False
        _open_calls.add(call)
        self._calls.put(call)
        self._late = call
        self._wait(call, what, end)
        self._late = None
        return call.outcome()

    def _wait(self, call: "_Call[Any]", what: str, end: float) -> None:
        if not wait(call.done, end - time.perf_counter(), self._stop):
            raise errors.RemoteTimeoutError(f"{what}: no answer within {self._timeout_sec:g} s; is the server alive?")


def wait(done: threading.Event, timeout_sec: float, stop: interfaces.StopSignal | None) -> bool:
    """Waits for `done` up to `timeout_sec`; whether it came.

    Raises:
      StoppedError: `stop` came first.
    """
    end = time.perf_counter() + timeout_sec
    while not done.wait(min(STOP_POLL_SEC, max(0.0, end - time.perf_counter()))):
        if stop is not None and stop.is_set():
            raise StoppedError("told to stop while waiting")
        if time.perf_counter() >= end:
            return False
    return True


class _Call(Generic[_T]):
    """One call and, once `done` is set, what came of it."""

    def __init__(self, function: Callable[..., _T], args: tuple[Any, ...]) -> None:
        self.done = threading.Event()
        self._function = function
        self._args = args
        self._result: _T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result = self._function(*self._args)
        except BaseException as error:
            # Whatever it is belongs to the thread that asked; this one goes on.
            self._error = error
        self.done.set()
        _open_calls.discard(self)

    def outcome(self) -> _T:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


def _serve(calls: "queue.SimpleQueue[_Call[Any] | None]") -> None:
    while (call := calls.get()) is not None:
        call.run()
        # Its result may be large, and the next call far away.
        del call


_open_calls: set[_Call[Any]] = set()


@atexit.register
def _wait_for_open_calls() -> None:
    end = time.perf_counter() + _EXIT_GRACE_SEC
    for call in list(_open_calls):
        call.done.wait(max(0.0, end - time.perf_counter()))
