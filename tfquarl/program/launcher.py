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
from multiprocessing import process as process_lib
import os
import secrets
import signal
import time
from typing import Any

from tfquarl.core import errors
from tfquarl.program import channel
from tfquarl.program import fork_server
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
        self._fork_server = fork_server.ForkServer(preload)
        self.nodes: list[RunningNode] = []

    def open(self, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Starts a fork server and waits until it has imported what the nodes share, or until `wanted` says no.

        Args:
          wanted: asked a few times a second whether to go on waiting.

        Returns:
          Whether nodes can be started; if not, `close` ends what was begun.

        Raises:
          NodeFailedError: the fork server died, took too long or can't be started.
        """
        return self._fork_server.open(wanted)

    def has_fork_server(self) -> bool:
        """Whether the fork server lives; where it has died, so have the nodes, for all that can be told of them."""
        return self._fork_server.is_alive()

    def can_start(self) -> bool:
        """Whether the fork server can be reached; one that lives can't where somebody has removed its socket."""
        return self._fork_server.is_reachable()

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
          NodeFailedError: the fork server died meanwhile, does not answer or can't fork.
        """
        self.nodes = [node for node in self.nodes if node.spec.name != spec.name]
        try:
            ours, theirs = multiprocessing.Pipe(duplex=False)
        except OSError as error:
            raise errors.NodeFailedError(f"{spec.name}: no pipe to it can be made: {error}") from error
        directories = self._run_dir, self._fork_server.temporary_dir
        process = self._fork_server.context.Process(
            target=node_process.main,
            args=(spec, self._experiment, self._spec, server_address, self._key, *directories, start, theirs),
            name=spec.name,
            daemon=False,
        )
        self._fork_server.start(process)
        theirs.close()
        node = RunningNode(spec, process, ours)
        self.nodes.append(node)
        return node

    def pids(self) -> dict[str, int]:
        """Process ids of the nodes that are alive, by their names."""
        return {node.spec.name: node.process.pid for node in self.nodes if node.process.pid and node.is_alive}

    def helpers(self) -> dict[str, int]:
        """Process id of the fork server by its name, from when it was started: while it imports, no node lives yet."""
        pid = self._fork_server.pid
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
        self._fork_server.close()
