"""Watches a run from start to end: counts its steps, decides when it ends, and ends it in order.

start:  server -> the others, once the server has said its address
end:    collectors, learner (checkpoint, last snapshot) -> converter and evaluator judge that snapshot -> server
"""

from collections.abc import Callable
from collections.abc import Sequence
import math
import time

from absl import logging

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.program import budget as budget_lib
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process

_TICK_SEC = 0.25
_SERVER_START_SEC = 90.0
# A user's Ctrl-C is answered within 10 s, whatever a node does: so long may nodes take to end in order, and then at once.
_INTERRUPTED_SEC = 6.0
_KILL_SEC = 1.0
_STOP_SEC = 60.0  # for collectors and the learner, whose results count
_LAST_STOP_SEC = 3.0  # for the others, in the middle of a conversion maybe that nobody waits for
# After a failure: the learner writes a checkpoint meanwhile, though it may first have to wait for a dead server.
_FAILED_SEC = 15.0

_LAST = ("converter", "evaluator")


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
      on_state: told what each node does, by its name: 'starting', 'running', 'ending', 'ended'.
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
        on_state: Callable[[str, str], None] = lambda name, state: None,
    ) -> None:
        self._launcher = launcher
        self._nodes = nodes
        self._budget = budget
        self._metrics = metrics
        self._interrupted = interrupted
        self._on_tick = on_tick
        self._on_state = on_state
        self._address = ""
        self._errors: dict[str, str] = {}
        self._ending: set[str] = set()
        self._ended: set[str] = set()
        self._interrupt_deadline = math.inf
        self._started_sec = time.perf_counter()
        self.progress = progress

    def run(self) -> budget_lib.Status:
        """Runs to the end; no process is left when it returns or raises.

        Raises:
          NodeFailedError: a node died; every other one has been ended.
        """
        patience_sec = _FAILED_SEC
        try:
            status = self._end(self._train())
            patience_sec = _KILL_SEC
        finally:
            self._launcher.kill_all(patience_sec)
            self._launcher.close()
            self._handle_messages()
        return status

    @property
    def _is_interrupted(self) -> bool:
        return self._interrupt_deadline < math.inf

    def _notice_interrupt(self) -> None:
        if not self._is_interrupted and self._interrupted():
            self._interrupt_deadline = time.perf_counter() + _INTERRUPTED_SEC

    def _train(self) -> budget_lib.Status:
        if not self._start():
            return budget_lib.Status.INTERRUPTED
        while True:
            if self._is_interrupted:
                return budget_lib.Status.INTERRUPTED
            if self.progress.target_reached(self._budget.stop_at_return):
                return budget_lib.Status.TARGET_REACHED
            if self._budget.is_used(self.progress, time.perf_counter() - self._started_sec):
                return budget_lib.Status.COMPLETED
            self._tick()

    def _start(self) -> bool:
        """Starts all nodes, the server first; False if the user interrupted that."""

        def is_wanted() -> bool:
            self._on_tick()
            self._notice_interrupt()
            return not self._is_interrupted

        if not self._launcher.open(is_wanted):
            return False
        server, *others = self._nodes
        self._launch(server)
        self._tick_until(lambda: bool(self._address) or self._is_interrupted, _SERVER_START_SEC)
        if self._is_interrupted:
            return False
        if not self._address:
            raise errors.NodeFailedError(f"{server.name}: gave no address within {_SERVER_START_SEC:.0f} s")
        for spec in others:
            self._launch(spec)
        return True

    def _launch(self, spec: node_process.NodeSpec) -> None:
        self._on_state(spec.name, "starting")
        self._launcher.start(spec, self._address)

    def _end(self, status: budget_lib.Status) -> budget_lib.Status:
        """Ends all nodes but the server, in order; the status, which an interrupt of the final evaluation changes."""
        if self._is_interrupted:
            self._stop(_LAST)
        slow = self._stop_and_wait(("collector", "learner"), _STOP_SEC)
        if slow and not self._is_interrupted:
            raise errors.NodeFailedError(f"{slow[0]}: did not end within {_STOP_SEC:.0f} s of being asked to")
        if status is budget_lib.Status.COMPLETED:
            version = self.progress.final_version
            self._tick_until(
                lambda: self.progress.is_judged(version) or self._is_interrupted, self._budget.final_evaluation_sec
            )
            if self._is_interrupted and not self.progress.is_judged(version):
                status = budget_lib.Status.INTERRUPTED
        if not self._is_interrupted:
            self._stop_and_wait(_LAST, _LAST_STOP_SEC)
        return status

    def _stop_and_wait(self, kinds: Sequence[str], timeout_sec: float) -> list[str]:
        """Ends the nodes of some kinds; the names of those that did not end in time."""
        names = self._stop(kinds)
        self._tick_until(lambda: names <= self._ended, timeout_sec)
        return sorted(names - self._ended)

    def _stop(self, kinds: Sequence[str]) -> set[str]:
        """Asks the nodes of some kinds to end; the names of those that have not ended yet."""
        nodes = [node for node in self._launcher.nodes if node.spec.name.split("_")[0] in kinds]
        names = {node.spec.name for node in nodes} - self._ended
        for name in sorted(names - self._ending):
            self._on_state(name, "ending")
        self._ending |= names
        self._launcher.stop(nodes)
        return names

    def _tick_until(self, condition: Callable[[], bool], timeout_sec: float) -> None:
        """Ticks until `condition` holds, at most `timeout_sec`, or as long as an interrupt leaves."""
        deadline = time.perf_counter() + timeout_sec
        while not condition() and time.perf_counter() < min(deadline, self._interrupt_deadline):
            self._tick()

    def _tick(self) -> None:
        self._launcher.wait(_TICK_SEC)
        self._handle_messages()
        self._notice_interrupt()
        self._on_tick()
        for node in self._launcher.nodes:
            if node.is_alive or node.spec.name in self._ended:
                continue
            self._handle_messages()  # its last words came before its end
            self._check_end(node)
            self._ended.add(node.spec.name)
            self._on_state(node.spec.name, "ended")

    def _check_end(self, node: launcher_lib.RunningNode) -> None:
        """Raises NodeFailedError if the end of `node` was neither asked for nor its own to choose."""
        name, code = node.spec.name, node.process.exitcode
        was_asked = name in self._ending or self._is_interrupted  # which all processes may have been told
        has_finished = name == "learner" and self.progress.final_version is not None
        if name not in self._errors and code == 0 and (was_asked or has_finished):
            return
        reason = self._errors.get(name, f"exit code {code}")
        where = f"its log is logs/{name}.log in the run directory"
        if not self._is_interrupted:
            raise errors.NodeFailedError(f"{name}: {reason}; {where}")
        logging.error("While the run was being interrupted, %s failed: %s; %s", name, reason, where)

    def _handle_messages(self) -> None:
        for node, message in self._launcher.receive():
            body = message.body
            if message.kind == "metrics":
                self.progress.count(body["group"], body["step"], body["values"])
                self._metrics.write(body["group"], body["step"], body["values"])
            elif message.kind == "running":
                self._on_state(node.spec.name, "running")
            elif message.kind == "ready":
                self._address = body["address"]
            elif message.kind == "evaluation":
                self.progress.add_evaluation(body)
            elif message.kind == "finished":
                self.progress.final_version = body["version"]
                self.progress.train_steps = body["train_step"]
            elif message.kind == "error":
                self._errors[node.spec.name] = body["reason"]
