"""Watches a run from start to end: counts its steps, decides when it ends, and ends it in order.

start:  server -> the others, once the server has said its address
end:    collectors -> learner (checkpoint, last snapshot) -> converter and evaluator judge that snapshot -> server
"""

from collections.abc import Callable
from collections.abc import Sequence
import time

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.program import budget as budget_lib
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process

_TICK_SEC = 0.25
_SERVER_START_SEC = 90.0
_INTERRUPTED_SEC = 8.0  # a user's Ctrl-C is answered within 10 s, whatever a node does


class Supervisor:
    """Runs the nodes of one experiment to their end.

    Args:
      launcher: starts and ends processes.
      nodes: of the run; the first one is the server, which says 'ready' with its address.
      budget: when the run ends.
      progress: filled as the run goes on; the caller has it even if the run fails.
      metrics: where the nodes' figures go.
      interrupted: whether the user has asked to end the run.
      on_tick: called a few times a second, for a display.
    """

    def __init__(
        self,
        launcher: launcher_lib.LocalLauncher,
        nodes: Sequence[node_process.NodeSpec],
        budget: budget_lib.Budget,
        progress: budget_lib.Progress,
        metrics: interfaces.MetricsSink,
        interrupted: Callable[[], bool],
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._launcher = launcher
        self._nodes = nodes
        self._budget = budget
        self._metrics = metrics
        self._interrupted = interrupted
        self._on_tick = on_tick
        self._address = ""
        self._errors: dict[str, str] = {}
        self._ending: set[str] = set()
        self.progress = progress

    def run(self) -> budget_lib.Status:
        """Runs to the end; no process is left when it returns or raises.

        Raises:
          NodeFailedError: a node died; every other one has been ended.
        """
        try:
            status = self._train()
            self._end(status)
        finally:
            self._launcher.kill_all(timeout_sec=2.0)
            self._handle_messages()
        return status

    def _train(self) -> budget_lib.Status:
        server, *others = self._nodes
        self._launcher.start(server)
        if not self._tick_until(lambda: bool(self._address), _SERVER_START_SEC):
            raise errors.NodeFailedError(f"{server.name}: gave no address within {_SERVER_START_SEC:.0f} s")
        if self._interrupted():
            return budget_lib.Status.INTERRUPTED
        for spec in others:
            self._launcher.start(spec, self._address)
        while True:
            if self._interrupted():
                return budget_lib.Status.INTERRUPTED
            if self.progress.target_reached(self._budget.stop_at_return):
                return budget_lib.Status.TARGET_REACHED
            if self.progress.total_env_steps >= self._budget.num_env_steps:
                return budget_lib.Status.COMPLETED
            self._tick()

    def _end(self, status: budget_lib.Status) -> None:
        started = time.perf_counter()
        patience_sec = (
            _INTERRUPTED_SEC if status is budget_lib.Status.INTERRUPTED else self._budget.final_evaluation_sec
        )

        def remaining_sec() -> float:
            return max(0.0, patience_sec - (time.perf_counter() - started))

        self._stop_and_wait("collector", remaining_sec() / 2)
        self._stop_and_wait("learner", remaining_sec())
        if status is budget_lib.Status.COMPLETED:
            version = self.progress.final_version
            self._tick_until(lambda: self.progress.is_judged(version), remaining_sec())
        for kind in ("converter", "evaluator"):
            self._stop_and_wait(kind, remaining_sec())

    def _stop_and_wait(self, kind: str, timeout_sec: float) -> None:
        nodes = [node for node in self._launcher.nodes if node.spec.name.split("_")[0] == kind]
        self._ending |= {node.spec.name for node in nodes}
        self._launcher.stop(nodes)
        self._tick_until(lambda: not any(node.is_alive for node in nodes), timeout_sec)

    def _tick_until(self, condition: Callable[[], bool], timeout_sec: float) -> bool:
        """Ticks until `condition` holds; False if it still doesn't after `timeout_sec`, or on a second interrupt."""
        deadline = time.perf_counter() + timeout_sec
        while not condition() and time.perf_counter() < deadline:
            if self._interrupted() and timeout_sec > _INTERRUPTED_SEC:
                deadline = min(deadline, time.perf_counter() + _INTERRUPTED_SEC)
                timeout_sec = _INTERRUPTED_SEC
            self._tick()
        return condition()

    def _tick(self) -> None:
        self._launcher.wait(_TICK_SEC)
        self._handle_messages()
        self._on_tick()
        for node in self._launcher.nodes:
            name = node.spec.name
            if node.is_alive or (name in self._ending and name not in self._errors):
                continue
            self._handle_messages()  # its last words came before its end
            reason = self._errors.get(name, f"exit code {node.process.exitcode}")
            raise errors.NodeFailedError(f"{name}: {reason}; its log is logs/{name}.log in the run directory")

    def _handle_messages(self) -> None:
        for node, message in self._launcher.receive():
            body = message.body
            if message.kind == "metrics":
                self._count(body["group"], body["step"])
                self._metrics.write(body["group"], body["step"], body["values"])
            elif message.kind == "ready":
                self._address = body["address"]
            elif message.kind == "evaluation":
                self.progress.evaluations.append(dict(body))
            elif message.kind == "finished":
                self.progress.final_version = body["version"]
                self.progress.train_steps = body["train_step"]
            elif message.kind == "error":
                self._errors[node.spec.name] = body["reason"]

    def _count(self, group: str, step: int) -> None:
        if group.startswith("collect/"):
            self.progress.env_steps[int(group.removeprefix("collect/"))] = step
        elif group == "train":
            self.progress.train_steps = step
