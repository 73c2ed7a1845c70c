"""Watches a run from start to end: counts its steps, decides when it ends, and ends it in order.

start:  server -> the others, once the server has said its address
end:    collectors, learner (checkpoint, last snapshot) -> converter and evaluator judge that snapshot -> server (checkpoint)
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
import time
from typing import Protocol

from absl import logging

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.metrics import names as metric_names
from tfquarl.program import budget as budget_lib
from tfquarl.program import crew as crew_lib
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.program import restarts

_TICK_SEC = 0.25
_SERVER_START_SEC = restarts.SERVER_START_SEC
# A user's Ctrl-C is answered within 10 s, whatever a node does: so long may nodes take to end in order, and then at once.
_INTERRUPTED_SEC = 6.0
_KILL_SEC = 1.0
_STOP_SEC = 60.0  # for collectors and the learner, whose results count
# For the server's last checkpoint, after the others have ended; behind the deadline of an interrupt.
_SERVER_STOP_SEC = 60.0
_SERVER_GRACE_SEC = 2.5
_LAST_STOP_SEC = 3.0  # for the others, in the middle of a conversion maybe that nobody waits for
# After a failure: the learner writes a checkpoint meanwhile, though it may first have to wait for a dead server.
_FAILED_SEC = 15.0

_LAST = ("converter", "evaluator")


class Display(Protocol):
    """Where the user sees how the run goes on; `metrics.progress.ProgressDisplay` is one."""

    def set_process(self, name: str, state: str) -> None:
        """Says what a node does now: as `Crew` does."""
        ...

    def set_awaited(self, what: str) -> None:
        """Says what the end of the run waits for."""
        ...

    def message(self, line: str) -> None:
        """Shows one line that stays."""
        ...


class Supervisor:
    """Runs the nodes of one experiment to their end.

    Args:
      launcher: starts and ends processes.
      nodes: of the run; the first one is the server, which says 'ready' with its address.
      budget: when the run ends.
      progress: filled as the run goes on; the caller has it even if the run fails.
      metrics: where the nodes' figures go.
      interrupted: whether the user has asked to end the run.
      display: told what happens.
      on_tick: called a few times a second.
      config: what becomes of nodes that die or hang.
      port: that the server is to have; 0 lets it choose one.
    """

    def __init__(
        self,
        launcher: launcher_lib.LocalLauncher,
        nodes: Sequence[node_process.NodeSpec],
        budget: budget_lib.Budget,
        progress: budget_lib.Progress,
        metrics: interfaces.MetricsSink,
        interrupted: Callable[[], bool],
        display: Display,
        on_tick: Callable[[], None] = lambda: None,
        config: restarts.SupervisionConfig | None = None,
        port: int = 0,
    ) -> None:
        self._launcher = launcher
        self._nodes = nodes
        self._budget = budget
        self._metrics = metrics
        self._interrupted = interrupted
        self._display = display
        self._on_tick = on_tick
        self._crew = crew_lib.Crew(
            launcher,
            nodes,
            config or restarts.SupervisionConfig(),
            progress,
            display.set_process,
            self._count_restart,
            port,
        )
        self._interrupt_deadline = math.inf
        self._started_sec = time.perf_counter()
        self.progress = progress

    def run(self) -> budget_lib.Status:
        """Runs to the end; no process is left when it returns or raises.

        Raises:
          NodeFailedError: a node died, and was not to be started again; every other one has been ended.
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
            if not self._crew.is_waiting("learner"):  # without it there is no last snapshot
                if self.progress.target_reached(self._budget.stop_at_return):
                    return budget_lib.Status.TARGET_REACHED
                if self._budget.is_used(self.progress, time.perf_counter() - self._started_sec):
                    return budget_lib.Status.COMPLETED
            self._tick()

    def _start(self) -> bool:
        """Starts all nodes, the server first; False if the user interrupted that."""

        if not self._launcher.open(self._is_wanted):
            return False
        server, *others = [spec.name for spec in self._nodes]
        self._crew.launch(server)
        self._tick_until(lambda: bool(self._crew.address) or self._is_interrupted, _SERVER_START_SEC)
        if self._is_interrupted:
            return False
        if not self._crew.address:
            raise errors.NodeFailedError(f"{server}: gave no address within {_SERVER_START_SEC:.0f} s")
        for name in others:
            if not self._is_wanted():
                return False
            self._crew.launch(name)
        return True

    def _is_wanted(self) -> bool:
        """Asked while the fork server starts, and before each node."""
        self._on_tick()
        self._notice_interrupt()
        return not self._is_interrupted

    def _end(self, status: budget_lib.Status) -> budget_lib.Status:
        """Ends all nodes in order; the status, which an interrupt of the final evaluation changes."""
        num_deaths = self._num_server_deaths
        if self._is_interrupted:
            self._crew.stop(_LAST)
        self._display.set_awaited("ending collectors and learner")
        slow = self._stop_and_wait(("collector", "learner"), _STOP_SEC)
        if slow and not self._is_interrupted:
            raise errors.NodeFailedError(f"{slow[0]}: did not end within {_STOP_SEC:.0f} s of being asked to")
        if status is budget_lib.Status.COMPLETED:
            status = self._await_last_verdict(num_deaths)
        self._display.set_awaited("keeping the replay")
        if not self._is_interrupted:
            self._stop_and_wait(_LAST, _LAST_STOP_SEC)
        self._interrupt_deadline += _SERVER_GRACE_SEC
        if self._stop_and_wait(("server",), _SERVER_STOP_SEC):
            logging.warning("The replay's last checkpoint took too long; the one before stays")
        return status

    @property
    def _num_server_deaths(self) -> int:
        return self.progress.num_restarts.get(self._nodes[0].name, 0)

    def _await_last_verdict(self, num_deaths: int) -> budget_lib.Status:
        """Waits until the last policy is judged, where one can come: conversion needs observations. How the run has ended then.

        Args:
          num_deaths: of the server before the learner was asked to end; one that has died since has lost the last snapshot.
        """
        self._crew.tell_trained("evaluator")
        if not self.progress.total_env_steps:
            return budget_lib.Status.COMPLETED
        known_deaths = num_deaths
        while not self._wait_for_last_verdict(known_deaths):
            known_deaths = self._num_server_deaths
            self._publish_again()
        if self.progress.is_judged(self.progress.final_version):
            return budget_lib.Status.COMPLETED
        if self._is_interrupted:
            return budget_lib.Status.INTERRUPTED
        logging.warning(
            "%sThe last policy was not judged within Experiment.final_evaluation_sec = %g s and may be better than any that"
            " is kept; allow more, or fewer EvaluatorConfig.num_confirm_episodes",
            "The server died while the run was being ended. " if known_deaths > num_deaths else "",
            self._budget.final_evaluation_sec,
        )
        return budget_lib.Status.COMPLETED

    def _wait_for_last_verdict(self, num_deaths: int) -> bool:
        """Whether it came, or can be waited for no longer; False if the server has died more than `num_deaths` times by then."""

        def is_settled() -> bool:
            return self._is_interrupted or self.progress.is_judged(self.progress.final_version)

        self._display.set_awaited("judging the last policy")
        self._tick_until(
            lambda: is_settled() or self._num_server_deaths > num_deaths, self._budget.final_evaluation_sec
        )
        return is_settled() or self._num_server_deaths == num_deaths

    def _publish_again(self) -> None:
        """Has the learner come from its last checkpoint and give a snapshot to the server that is back without it, or without its policy."""
        logging.warning("The server died while the run was being ended; the learner gives it the last snapshot again")
        self._display.set_awaited("publishing the last policy again")
        self._tick_until(lambda: bool(self._crew.address) or self._is_interrupted, _SERVER_START_SEC)
        if self._is_interrupted or not self._crew.address:
            return
        if self._crew.are_ended(["learner"]):
            self.progress.final_version = None
            self._crew.launch("learner")
            self._tick_until(lambda: self._crew.is_running("learner") or self._is_interrupted, _STOP_SEC)
        self._stop_and_wait(("learner",), _STOP_SEC)

    def _stop_and_wait(self, kinds: Sequence[str], timeout_sec: float) -> list[str]:
        """Ends the nodes of some kinds; the names of those that did not end in time."""
        names = self._crew.stop(kinds)
        self._tick_until(lambda: self._crew.are_ended(names), timeout_sec)
        return sorted(name for name in names if not self._crew.are_ended([name]))

    def _tick_until(self, condition: Callable[[], bool], timeout_sec: float) -> None:
        """Ticks until `condition` holds, at most `timeout_sec`, or as long as an interrupt leaves."""
        deadline = time.perf_counter() + timeout_sec
        while not condition() and time.perf_counter() < min(deadline, self._interrupt_deadline):
            self._tick()

    def _tick(self) -> None:
        self._launcher.wait(_TICK_SEC)
        dead = [node.spec.name for node in self._launcher.nodes if not node.is_alive]
        self._handle_messages()  # after that look: the last words of the dead came before their end
        self._notice_interrupt()
        self._on_tick()
        if not self._is_interrupted:
            if not self._launcher.has_fork_server():
                self._replace_fork_server("died")
            elif self._crew.has_due() and not self._launcher.can_start():
                self._replace_fork_server("is ended, as somebody has removed its socket")
        self._crew.look_after(dead, self._is_interrupted)

    def _replace_fork_server(self, what: str) -> None:
        """Starts another one, from which those nodes come again that end with it."""
        logging.warning(
            "The fork server %s, and with it every process of the run; they are started again from a new one", what
        )
        self._count_restart(launcher_lib.FORK_SERVER)
        self._launcher.open(self._is_wanted)

    def _handle_messages(self) -> None:
        self._crew.listen()
        for node, message in self._launcher.receive():
            body = message.body
            self._crew.take(node.spec.name, message)
            if message.kind == "metrics":
                self._write(body["group"], body["step"], body["values"])
            elif message.kind == "warning":
                self._display.message(f"warning: {node.spec.name}: {body['text']}")
            elif message.kind == "evaluation":
                self.progress.add_evaluation(body)
            elif message.kind == "finished":
                self.progress.final_version = body["version"]
                self.progress.train_steps = body["train_step"]
                self.progress.is_learner_done = body["is_done"]

    def _count_restart(self, name: str) -> None:
        number = self.progress.num_restarts.get(name, 0) + 1
        self._write(metric_names.RUN, self.progress.total_env_steps, {f"{metric_names.RESTARTS_PREFIX}{name}": number})

    def _write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        self.progress.count(group, step, values)
        self._metrics.write(group, step, values)
