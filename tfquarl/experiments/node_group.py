"""Processes of a run without the run: started one by one, with what they last said."""

from collections.abc import Mapping
import time
from typing import Any

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import layout
from tfquarl.program import node_process
from tfquarl.program import nodes

_TICK_SEC = 0.05
_START_SEC = 120.0
_EXIT_SEC = 10.0


class NodeGroup:
    """Nodes of one launcher, a Reverb server first.

    with NodeGroup(experiment, spec, run_dir) as group:
        node = group.start(NodeSpec("collector_0", nodes.collect))
        group.wait_for(node, "running")
    """

    def __init__(
        self, experiment: experiment_lib.Experiment, spec: environment_spec.EnvironmentSpec, run_dir: str
    ) -> None:
        """Stores its arguments; `run_dir` has a directory 'logs'."""
        self._launcher = launcher_lib.LocalLauncher(
            experiment, spec, run_dir, layout.preload(experiment.environment.name)
        )
        self._run_dir = run_dir
        self._said: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._address = ""

    def __enter__(self) -> "NodeGroup":
        """Starts the fork server and the Reverb server.

        Raises:
          NodeFailedError: one of them doesn't start.
        """
        try:
            self._launcher.open()
            self.server = self.start(node_process.NodeSpec("server", nodes.serve))
            self._address = self.wait_for(self.server, "ready")["address"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends all processes."""
        self._launcher.kill_all(_EXIT_SEC)
        self._launcher.close()

    def start(self, spec: node_process.NodeSpec) -> launcher_lib.RunningNode:
        """Starts a node; does not wait for it."""
        return self._launcher.start(spec, self._address)

    def pids(self) -> list[int]:
        """Of all nodes that live."""
        return [node.process.pid for node in self._launcher.nodes if node.is_alive and node.process.pid is not None]

    def said(self, node: launcher_lib.RunningNode, kind: str) -> Mapping[str, Any] | None:
        """The node's last message of this kind that has come; None if there is none."""
        return self._said.get((node.spec.name, kind))

    def listen(self, duration_sec: float) -> None:
        """Takes in what the nodes say for a while.

        Raises:
          NodeFailedError: one of them died.
        """
        end = time.perf_counter() + duration_sec
        while True:
            for node, message in self._launcher.receive():
                if message.kind == "error":
                    raise errors.NodeFailedError(f"{node.spec.name}: {message.body['reason']}")
                self._said[node.spec.name, message.kind] = message.body
            for node in self._launcher.nodes:
                if not node.is_alive:
                    raise errors.NodeFailedError(f"{node.spec.name} died without a word")
            left = end - time.perf_counter()
            if left <= 0:
                return
            self._launcher.wait(min(left, _TICK_SEC))

    def wait_for(self, node: launcher_lib.RunningNode, kind: str) -> Mapping[str, Any]:
        """The node's message of this kind, once it has come.

        Raises:
          NodeFailedError: a node died, or it took too long.
        """
        end = time.perf_counter() + _START_SEC
        while (body := self.said(node, kind)) is None:
            if time.perf_counter() > end:
                raise errors.NodeFailedError(f"{node.spec.name}: no '{kind}' within {_START_SEC:g} s")
            self.listen(0.0)
            self._launcher.wait(_TICK_SEC)
        return body
