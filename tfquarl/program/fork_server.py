"""The process that those of a run are forked from, with what they share imported, and the run's temporary files, its socket among them."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import multiprocessing
from multiprocessing import forkserver
from multiprocessing import process as process_lib
from multiprocessing import resource_tracker
import os
import signal
import tempfile
import threading
import time
from typing import Any

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.program import node_process

_OPENING_TICK_SEC = 0.1
_OPENING_SEC = 300.0  # of a machine that is busy with other things
_START_SEC = 60.0  # for a fork
_MAX_SOCKET_PATH_BYTES = 107
_SOCKET_BELOW = "/tfquarl-12345678/listener-12345678"  # the temporary directory


class ForkServer:
    """Starts processes. There is one such server in a program at a time, as multiprocessing has one.

    Args:
      preload: modules that it imports, once for all processes.

    Raises:
      StorageError: no temporary directory can be made.
      ConfigError: its path is too long for a socket in it.
    """

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(list(preload))
        self._preload = ", ".join(preload)
        self._temporary = _make_temporary_directory()
        self._opening: threading.Thread | None = None
        self._failure: Exception | None = None
        self._caller = deadline.Caller(_START_SEC)

    @property
    def temporary_dir(self) -> str:
        """Where processes have their temporary files; `close` removes it."""
        return self._temporary.name

    @property
    def pid(self) -> int | None:
        """Its process id, from when it was started; None before and after."""
        return forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]

    def open(self, wanted: Callable[[], bool]) -> bool:
        """Starts it and waits until it has imported everything, or until `wanted` says no. One that can't be reached is ended before.

        Args:
          wanted: asked a few times a second whether to go on waiting.

        Returns:
          Whether processes can be started; if not, `close` ends what was begun.

        Raises:
          NodeFailedError: it died, took too long or can't be started.
        """
        if self.is_alive() and not self.is_reachable():
            _end_helper(forkserver._forkserver, "_forkserver_pid")  # type: ignore[attr-defined]
        if not os.path.isdir(self._temporary.name):
            self._temporary.cleanup()
            self._temporary = _make_temporary_directory()
        self._failure = None
        end = time.perf_counter() + _OPENING_SEC
        self._opening = threading.Thread(target=self._start_empty_process, name="fork-server", daemon=True)
        self._opening.start()
        while self._opening.is_alive():
            if not wanted():
                return False
            if time.perf_counter() >= end:
                raise errors.NodeFailedError(
                    f"the fork server did not import {self._preload} within {_OPENING_SEC:.0f} s; is there enough memory?"
                )
            self._opening.join(_OPENING_TICK_SEC)
        if self._failure is not None:
            raise errors.NodeFailedError(_tell(self._failure, f"while it imported {self._preload}", "be started"))
        return True

    def is_alive(self) -> bool:
        """Whether its process lives; where it has died, so have those that it started, for all that can be told of them."""
        return self.pid is not None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def is_reachable(self) -> bool:
        """Whether its socket is there, which somebody may have removed with other temporary files."""
        address = forkserver._forkserver._forkserver_address  # type: ignore[attr-defined]
        return address is not None and os.path.exists(address)

    def start(self, process: process_lib.BaseProcess) -> None:
        """Starts a process of its `context`.

        Raises:
          NodeFailedError: it died meanwhile, does not answer or can't fork.
        """
        try:
            self._caller.call("", self._start_with_signals_held, process)
        except errors.RemoteTimeoutError as error:
            raise errors.NodeFailedError(
                f"{process.name}: the fork server did not answer within {_START_SEC:.0f} s when it was to start it;"
                " is there enough memory?"
            ) from error
        except (OSError, EOFError) as error:
            why = _tell(error, "when it was to start it", "start it")
            raise errors.NodeFailedError(f"{process.name}: {why}") from error

    def close(self) -> None:
        """Ends it and its tracker: when this returns nothing of it is left, nor the temporary files."""
        # They would end by themselves, but only after this program, and multiprocessing has no public way to ask them. The
        # fork server may still be importing, and does not listen then. Neither has anything left to do.
        while self._opening is not None and self._opening.is_alive():
            _end_helper(forkserver._forkserver, "_forkserver_pid")  # type: ignore[attr-defined]
            self._opening.join(_OPENING_TICK_SEC)  # it may only now have started one
        _end_helper(forkserver._forkserver, "_forkserver_pid")  # type: ignore[attr-defined]
        _end_helper(resource_tracker._resource_tracker, "_pid")  # type: ignore[attr-defined]
        self._temporary.cleanup()

    def _start_empty_process(self) -> None:
        """Has it make one empty process: it answers when it has imported everything."""
        try:
            process = self.context.Process(target=_do_nothing)
            self._start_with_signals_held(process)
            process.join()
        except (OSError, EOFError) as error:
            self._failure = error

    def _start_with_signals_held(self, process: process_lib.BaseProcess) -> None:
        """Starts a process, and the server with the first one, that gets no signal of `SIGNALS` before it asks for them.

        They wait until `node_process.main` has its handlers: a node that is told to end while it starts ends in order.
        """
        resource_tracker.ensure_running()  # before, because starting it would take the mask away
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, node_process.SIGNALS)
        try:
            with _sockets_in(self._temporary.name):
                forkserver.ensure_running()
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _make_temporary_directory() -> "tempfile.TemporaryDirectory[str]":
    with files.storage_errors("finding a temporary directory"):
        place = tempfile.gettempdir()
    if len(os.fsencode(place + _SOCKET_BELOW)) > _MAX_SOCKET_PATH_BYTES:
        raise errors.ConfigError(
            f"temporary directory {place} has a path of {len(os.fsencode(place))} bytes, and one for sockets at most"
            f" {_MAX_SOCKET_PATH_BYTES - len(_SOCKET_BELOW)}; set TMPDIR to a shorter one"
        )
    with files.storage_errors(f"making a temporary directory in {place}"):
        return tempfile.TemporaryDirectory(prefix="tfquarl-", ignore_cleanup_errors=True)


@contextlib.contextmanager
def _sockets_in(directory: str) -> Iterator[None]:
    """Has multiprocessing make sockets in `directory`: one of its own would be left behind by a program that is killed."""
    config = process_lib.current_process()._config  # type: ignore[attr-defined]
    previous = config.get("tempdir")
    config["tempdir"] = directory
    try:
        yield
    finally:
        config["tempdir"] = previous


def _tell(error: Exception, when: str, task: str) -> str:
    """What has become of the server; memory is asked about where its process may have been killed for it."""
    if isinstance(error, (EOFError, ConnectionError)):
        detail = f": {error}" if str(error) else ""
        return f"the fork server died {when}{detail}; is there enough memory?"
    return f"the fork server can't {task}: {error}"


def _end_helper(helper: Any, pid_name: str) -> None:
    pid = getattr(helper, pid_name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):  # somebody else has waited for it, or has removed its socket
            helper._stop()


def _do_nothing() -> None:
    pass
