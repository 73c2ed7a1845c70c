"""Starts the processes of a run on this machine and ends them: only those that it started, by their handles.

Processes come from a fork server that has imported what they share (Reverb and with it TensorFlow, the TFLite
interpreter), so that each starts in a fraction of a second and shares those pages.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import multiprocessing
from multiprocessing import connection as connection_lib
from multiprocessing import process as process_lib
import os
import secrets
import time
from typing import Any

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


@dataclasses.dataclass(frozen=True)
class RunningNode:
    """A node that was started.

    Attributes:
      spec: what was started.
      process: its process.
      connection: the launcher's end of its pipe.
    """

    spec: node_process.NodeSpec
    process: process_lib.BaseProcess
    connection: connection_lib.Connection

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
    """

    def __init__(self, experiment: Any, spec: Any, run_dir: str, preload: Sequence[str] = ()) -> None:
        self._experiment = experiment
        self._spec = spec
        self._run_dir = run_dir
        self._key = secrets.token_bytes(32)
        os.environ.update(_ENVIRONMENT)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self.nodes: list[RunningNode] = []

    def start(self, spec: node_process.NodeSpec, server_address: str = "") -> RunningNode:
        """Starts one node."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=node_process.main,
            args=(spec, self._experiment, self._spec, server_address, self._key, self._run_dir, theirs),
            name=spec.name,
            daemon=False,
        )
        process.start()
        theirs.close()
        node = RunningNode(spec, process, ours)
        self.nodes.append(node)
        return node

    def wait(self, timeout_sec: float) -> None:
        """Waits until a node says something or ends, at most `timeout_sec`."""
        waiting = [node.connection for node in self.nodes if not node.connection.closed]
        alive = [node.process.sentinel for node in self.nodes if node.is_alive]
        connection_lib.wait([*waiting, *alive], timeout=timeout_sec)

    def receive(self) -> list[tuple[RunningNode, channel.Message]]:
        """All messages that are waiting, node by node."""
        received = []
        for node in self.nodes:
            if node.connection.closed:
                continue
            messages = channel.receive(node.connection)
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

    def kill_all(self, timeout_sec: float) -> list[str]:
        """Ends every node: asks, waits at most `timeout_sec` for all of them, then kills; the names of those killed."""
        self.stop(self.nodes)
        deadline = time.perf_counter() + timeout_sec
        killed = []
        for node in self.nodes:
            node.process.join(max(0.0, deadline - time.perf_counter()))
            if node.is_alive:
                node.process.kill()
                node.process.join()
                killed.append(node.spec.name)
        return killed
