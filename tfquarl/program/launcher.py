"""Starts the processes of a run on this machine and ends them: only those that it started, by their handles.

Processes come from a fork server that has imported what they share (Reverb and with it TensorFlow, the TFLite
interpreter), so that each starts in a fraction of a second and shares those pages.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import dataclasses
import multiprocessing
from multiprocessing import connection as connection_lib
from multiprocessing import forkserver
from multiprocessing import process as process_lib
from multiprocessing import resource_tracker
import os
import secrets
import signal
import tempfile
import threading
import time
from typing import Any

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.program import channel
from tfquarl.program import node_process

# Of every node, before the fork server imports anything: numpy's threads would compete with the other nodes, and a fork
# would not take them along.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

FORK_SERVER = "fork_server"
"""Its name beside those of the nodes."""

_OPENING_TICK_SEC = 0.1
_OPENING_SEC = 300.0  # of a machine that is busy with other things
_START_SEC = 60.0  # for a fork
_KILLED_SEC = 2.0
_MESSAGES_AT_ONCE = 100  # of a node; the others, the display and the budget have their turn then


@dataclasses.dataclass(eq=False)
class RunningNode:
    """A node that was started.

    Attributes:
      spec: what was started.
      process: its process.
      connection: the launcher's end of its pipe.
      is_killed: whether it and what it had started were killed; its ids may be those of others by now.
    """

    spec: node_process.NodeSpec
    process: process_lib.BaseProcess
    connection: connection_lib.Connection
    is_killed: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether its process still runs."""
        return self.process.is_alive()


class LocalLauncher:
    """Runs nodes as processes of this machine.

    Args:
      experiment: sent to every node; must be picklable.
      spec: of the experiment's environment.
      run_dir: the run's directory.
      preload: modules that the fork server imports, once for all nodes.
      key: that all nodes sign by; None makes one.
    """

    def __init__(
        self, experiment: Any, spec: Any, run_dir: str, preload: Sequence[str] = (), key: bytes | None = None
    ) -> None:
        self._experiment = experiment
        self._spec = spec
        self._run_dir = run_dir
        self._key = secrets.token_bytes(32) if key is None else key
        os.environ.update(_ENVIRONMENT)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._preload = preload
        with files.storage_errors(f"making a temporary directory in {tempfile.gettempdir()}"):
            self._temporary = tempfile.TemporaryDirectory(prefix="tfquarl-", ignore_cleanup_errors=True)
        self._opening: threading.Thread | None = None
        self._failure: Exception | None = None
        self._caller = deadline.Caller(_START_SEC)
        self.nodes: list[RunningNode] = []

    def open(self, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Starts a fork server and waits until it has imported what the nodes share, or until `wanted` says no.

        Args:
          wanted: asked a few times a second whether to go on waiting.

        Returns:
          Whether nodes can be started; if not, `close` ends what was begun.

        Raises:
          NodeFailedError: the fork server died, or took too long.
        """
        self._failure = None
        end = time.perf_counter() + _OPENING_SEC
        self._opening = threading.Thread(target=self._start_fork_server, name="fork-server", daemon=True)
        self._opening.start()
        while self._opening.is_alive():
            if not wanted():
                return False
            if time.perf_counter() >= end:
                raise errors.NodeFailedError(
                    f"the fork server did not import {', '.join(self._preload)} within {_OPENING_SEC:.0f} s; is there enough memory?"
                )
            self._opening.join(_OPENING_TICK_SEC)
        if self._failure is not None:
            raise errors.NodeFailedError(
                f"the fork server died while it imported {', '.join(self._preload)}: {self._failure}; is there enough memory?"
            )
        return True

    def has_fork_server(self) -> bool:
        """Whether the fork server lives; where it has died, so have the nodes, for all that can be told of them."""
        pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        return pid is not None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def _start_fork_server(self) -> None:
        """Has the fork server make one empty process: it answers when it has imported everything."""
        try:
            process = self._context.Process(target=_do_nothing)
            _start_with_signals_held(process)
            process.join()
        except (OSError, EOFError) as error:
            self._failure = error

    def start(
        self,
        spec: node_process.NodeSpec,
        server_address: str = "",
        start: node_process.StartPoint = node_process.BEGINNING,
    ) -> RunningNode:
        """Starts one node, in the place of one of the same name that has ended.

        Args:
          spec: of the node.
          server_address: of the Reverb server, 'host:port'.
          start: what the node goes on from.

        Raises:
          NodeFailedError: the fork server died meanwhile, or does not answer.
        """
        self.nodes = [node for node in self.nodes if node.spec.name != spec.name]
        ours, theirs = self._context.Pipe(duplex=False)
        directories = self._run_dir, self._temporary.name
        process = self._context.Process(
            target=node_process.main,
            args=(spec, self._experiment, self._spec, server_address, self._key, *directories, start, theirs),
            name=spec.name,
            daemon=False,
        )
        try:
            self._caller.call("", _start_with_signals_held, process)
        except (OSError, EOFError, errors.RemoteTimeoutError) as error:
            why = (
                f"did not answer within {_START_SEC:.0f} s" if isinstance(error, errors.RemoteTimeoutError) else "died"
            )
            raise errors.NodeFailedError(
                f"{spec.name}: the fork server {why} when it was to start it; is there enough memory?"
            ) from error
        theirs.close()
        node = RunningNode(spec, process, ours)
        self.nodes.append(node)
        return node

    def pids(self) -> dict[str, int]:
        """Process ids of the nodes that are alive, by their names."""
        return {node.spec.name: node.process.pid for node in self.nodes if node.process.pid and node.is_alive}

    def helpers(self) -> dict[str, int]:
        """Process id of the fork server by its name, from when it was started: while it imports, no node lives yet."""
        pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        return {} if pid is None else {FORK_SERVER: pid}

    def wait(self, timeout_sec: float) -> None:
        """Waits until a node says something or ends, at most `timeout_sec`."""
        waiting = [node.connection for node in self.nodes if not node.connection.closed]
        alive = [node.process.sentinel for node in self.nodes if node.is_alive]
        connection_lib.wait([*waiting, *alive], timeout=timeout_sec)

    def receive(self) -> list[tuple[RunningNode, channel.Message]]:
        """Messages that are waiting, node by node: all of those that have ended, some of each other one, which none can use up."""
        received = []
        for node in self.nodes:
            if node.connection.closed:
                continue
            messages = channel.receive(node.connection, _MESSAGES_AT_ONCE if node.is_alive else None)
            if messages is None:
                node.connection.close()
                continue
            received += [(node, message) for message in messages]
        return received

    def stop(self, nodes: Iterable[RunningNode]) -> None:
        """Asks nodes to end: SIGTERM, which sets their stop signal. Does not wait."""
        for node in nodes:
            if node.is_alive:
                node.process.terminate()

    def tell_trained(self, name: str) -> None:
        """Tells the node of that name that training has ended, if it is alive; it goes on."""
        pid = self.pids().get(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, node_process.TRAINED_SIGNAL)

    def kill(self, node: RunningNode) -> None:
        """Kills a node and what it has started, also what outlives it: the first time, and never again. Does not wait."""
        if node.is_killed:
            return
        node.is_killed = True
        if node.is_alive:
            node.process.kill()
        with contextlib.suppress(
            ProcessLookupError, PermissionError
        ):  # it left nothing behind; the id is another's already
            os.killpg(node.process.pid, signal.SIGKILL)  # type: ignore[arg-type]

    def kill_named(self, name: str) -> None:
        """Kills the node of that name, as `kill`."""
        for node in self.nodes:
            if node.spec.name == name:
                self.kill(node)

    def kill_all(self, timeout_sec: float) -> list[str]:
        """Ends every node: asks, waits at most `timeout_sec` for all of them, then kills; the names of those killed.

        Processes that a node started and left behind are killed too.
        """
        self.stop(self.nodes)
        deadline = time.perf_counter() + timeout_sec
        killed = []
        for node in self.nodes:
            node.process.join(max(0.0, deadline - time.perf_counter()))
            is_slow = node.is_alive
            self.kill(node)
            if is_slow:
                node.process.join(_KILLED_SEC)  # not longer: a fork server that is stuck tells of no end
                killed.append(node.spec.name)
        return killed

    def close(self) -> None:
        """Ends the fork server and its tracker, after `kill_all`: when this returns nothing of the run is left, nor its temporary files."""
        # They would end by themselves, but only after this program, and multiprocessing has no public way to ask them. The
        # fork server may still be importing, and does not listen then. Neither has anything left to do.
        while self._opening is not None and self._opening.is_alive():
            _end_helper(forkserver._forkserver, "_forkserver_pid")  # type: ignore[attr-defined]
            self._opening.join(_OPENING_TICK_SEC)  # it may only now have started one
        _end_helper(forkserver._forkserver, "_forkserver_pid")  # type: ignore[attr-defined]
        _end_helper(resource_tracker._resource_tracker, "_pid")  # type: ignore[attr-defined]
        self._temporary.cleanup()


def _start_with_signals_held(process: process_lib.BaseProcess) -> None:
    """Starts a process, and the fork server with the first one, that gets no signal of `SIGNALS` before it asks for them.

    They wait until `node_process.main` has its handlers: a node that is told to end while it starts ends in order.
    """
    resource_tracker.ensure_running()  # before, because starting it would take the mask away
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, node_process.SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _end_helper(helper: Any, pid_name: str) -> None:
    pid = getattr(helper, pid_name)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            helper._stop()


def _do_nothing() -> None:
    pass
