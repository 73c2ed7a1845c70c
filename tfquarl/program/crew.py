"""The processes of a run while it goes on: which are starting, running, ending and ended, and which are started again.

    starting -> running -> ending -> ended           as the supervisor asks
    starting, running -> waiting -> starting         died or hung: again after a backoff, with its state from where it is kept
    waiting -> failure                               died too often, or for a reason that a new start does not mend

The server comes back at its address, so that the others go on meanwhile; while it is away none of them is started.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence

from absl import logging

from tfquarl.core import errors
from tfquarl.program import budget as budget_lib
from tfquarl.program import channel
from tfquarl.program import heartbeat
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.program import restarts
from tfquarl.program import run_directory

# What the user has to mend, or has asked for.
_FINAL = (errors.ConfigError, errors.StorageError, errors.ParityError, errors.NumericalError, errors.StalePolicyError)
# How multiprocessing tells of a process whose fork server has died.
_LOST = 255
_FINAL_NAMES = frozenset(kind.__name__ for kind in _FINAL)


class Crew:
    """Starts the nodes of one run, and starts those again that die.

    Args:
      launcher: starts and ends processes.
      nodes: of the run; the first one is the server, which says 'ready' with its address.
      config: of restarts and heartbeats.
      progress: what nodes go on from.
      on_state: told what each node does, by its name: 'starting', 'running', 'waiting', 'ending', 'ended'.
      on_restart: told the name of each node that is to be started again.
      port: that the server is to have; 0 lets it choose one.
    """

    def __init__(
        self,
        launcher: launcher_lib.LocalLauncher,
        nodes: Sequence[node_process.NodeSpec],
        config: restarts.SupervisionConfig,
        progress: budget_lib.Progress,
        on_state: Callable[[str, str], None],
        on_restart: Callable[[str], None],
        port: int = 0,
    ) -> None:
        self._launcher = launcher
        self._specs = {spec.name: spec for spec in nodes}
        self._server = nodes[0].name
        self._config = config
        self._restarts = restarts.Restarts(config)
        self._deadlines = heartbeat.Deadlines(config.heartbeat_timeout_sec)
        self._progress = progress
        self._on_state, self._on_restart = on_state, on_restart
        self._errors: dict[str, tuple[str, bool]] = {}
        self._ending: set[str] = set()
        self._waiting: set[str] = set()
        self._ended: set[str] = set()
        self._trained: set[str] = set()
        self._running: set[str] = set()
        self._port, self._has_served = port, False
        self.address = ""

    def launch(self, name: str) -> None:
        """Starts a node, from where the run is; also one that has ended in order."""
        self._on_state(name, "starting")
        for states in (self._waiting, self._ending, self._ended, self._running):
            states.discard(name)
        self._errors.pop(name, None)
        spec = self._specs[name]
        self._launcher.start(spec, self.address, self._progress.start_point(spec.index, self._port))
        self._deadlines.heard(name)
        if name in self._trained:
            self._launcher.tell_trained(name)

    def tell_trained(self, name: str) -> None:
        """Tells a node that training has ended, and whatever is started in its place."""
        self._trained.add(name)
        self._launcher.tell_trained(name)

    def listen(self) -> None:
        """Called before messages are received, all of which `take` then gets."""
        self._deadlines.listen()

    def take(self, name: str, message: channel.Message) -> None:
        """Takes what a node says of itself."""
        if name not in self._waiting:
            self._deadlines.heard(name)
        if message.kind == "running":
            self._running.add(name)
            self._on_state(name, "running")
        elif message.kind == "ready":
            self.address = message.body["address"]
            self._port, self._has_served = int(self.address.rpartition(":")[2]), True
        elif message.kind == "error":
            self._errors[name] = message.body["reason"], self._is_final(message.body["error"])

    def is_waiting(self, name: str) -> bool:
        """Whether a node has died and is not started again yet."""
        return name in self._waiting

    def has_due(self) -> bool:
        """Whether the time has come for a node to be started again."""
        return bool(self._restarts.due())

    def is_running(self, name: str) -> bool:
        """Whether a node has said, since it was started last, that it is at its work."""
        return name in self._running

    def are_ended(self, names: Iterable[str]) -> bool:
        """Whether all these nodes have ended."""
        return self._ended.issuperset(names)

    def stop(self, kinds: Sequence[str]) -> set[str]:
        """Asks the nodes of some kinds to end; the names of those that have not ended yet."""
        nodes = [node for node in self._launcher.nodes if node.spec.name.split("_")[0] in kinds]
        for name in [node.spec.name for node in nodes if node.spec.name in self._waiting]:
            self._restarts.cancel(name)
            self._end(name)
        names = {node.spec.name for node in nodes} - self._ended
        for name in sorted(names - self._ending):
            self._on_state(name, "ending")
        self._ending |= names
        self._launcher.stop([node for node in nodes if node.spec.name in names])
        return names

    def look_after(self, dead: Sequence[str], is_interrupted: bool) -> None:
        """Notes which nodes have ended, kills those that hang and starts those whose time has come.

        Args:
          dead: names of those that were not alive any more when their last messages were taken.
          is_interrupted: whether the run is being ended by the user; nothing is started any more then, and no end is a failure.

        Raises:
          NodeFailedError: a node died, and is not to be started again.
        """
        for node in list(self._launcher.nodes):
            name = node.spec.name
            if name in dead and name not in self._ended and name not in self._waiting:
                self._deadlines.forget(name)
                self._launcher.kill(node)  # whatever it has left behind
                self._note_end(name, node.process.exitcode, is_interrupted)
        for name in self._deadlines.overdue():
            if name not in self._ending:
                self._errors[name] = f"no sign of life for {self._config.heartbeat_timeout_sec:.0f} s", False
                self._launcher.kill_named(name)
        for name in self._restarts.due():
            if name == self._server or self.address:
                self._restarts.cancel(name)
                self.launch(name)

    def _note_end(self, name: str, code: int | None, is_interrupted: bool) -> None:
        reason, is_final = self._errors.get(name, (_describe(code), False))
        is_orderly = name not in self._errors and code == 0
        has_finished = name == "learner" and self._progress.is_learner_done
        if is_orderly and (name in self._ending or is_interrupted or has_finished):
            self._end(name)
        elif is_interrupted or (name in self._ending and name != "learner"):
            logging.error("While the run was being ended, %s failed: %s; %s", name, reason, _log(name))
            self._end(name)
        elif name in self._ending or is_final:
            raise errors.NodeFailedError(f"{name}: {reason}; {_log(name)}")
        else:
            self._start_again(name, reason)

    def _start_again(self, name: str, reason: str) -> None:
        backoff_sec = self._restarts.died(name)
        if backoff_sec is None:
            window_sec, times = self._config.death_window_sec, self._restarts.num_deaths(name)
            often = f"died {times} times within {window_sec:.0f} s, the last time: " if times > 1 else ""
            raise errors.NodeFailedError(f"{name}: {often}{reason}; {_log(name)}")
        logging.warning("%s: %s; it is started again in %.1f s; %s", name, reason, backoff_sec, _log(name))
        if name == self._server:
            self.address = ""
        if name == "learner":
            self._progress.final_version = None  # a signal that was none of the run's may have ended it in order
        self._waiting.add(name)
        self._on_state(name, "waiting")
        self._on_restart(name)

    def _is_final(self, error: str) -> bool:
        """Whether a new start does not mend it. A port that the run has had is waited for: who holds it now may let it go."""
        return error in _FINAL_NAMES or (error == errors.PortError.__name__ and not self._has_served)

    def _end(self, name: str) -> None:
        self._waiting.discard(name)
        self._ended.add(name)
        self._on_state(name, "ended")


def _describe(code: int | None) -> str:
    return "it was lost when the fork server died" if code == _LOST else f"exit code {code}"


def _log(name: str) -> str:
    return f"its log is {run_directory.log_file(name)} in the run directory"
