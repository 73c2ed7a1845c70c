"""A whole training run as a process of its own, which can be killed with all that it has started."""

import multiprocessing
import os
import pathlib
import signal
import sys

from absl import logging

from tfquarl.core import errors
from tfquarl.program import budget
from tfquarl.program import command_line
from tfquarl.program import gin_loading
from tfquarl.program import output_file
from tfquarl.program import training


class RunProcess:
    """Trains in a new session, by which everything that belongs to the run is found.

    Args:
      gin_files: of the experiment.
      bindings: gin bindings.
      run_dir: of the run, which goes on if it holds one.
      log: file that the program writes its lines to.
    """

    def __init__(self, gin_files: list[str], bindings: list[str], run_dir: pathlib.Path, log: pathlib.Path) -> None:
        self._run_dir = run_dir
        self._process = multiprocessing.get_context("spawn").Process(
            target=_train, args=(gin_files, bindings, str(run_dir), str(log)), name="run"
        )
        self._process.start()

    @property
    def exit_code(self) -> int | None:
        """Of the program; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_sec: float) -> bool:
        """Waits for its end; whether it came."""
        self._process.join(timeout_sec)
        return self._process.exitcode is not None

    def nodes(self) -> dict[str, int]:
        """Process ids of the run's nodes that live, by their names."""
        logs = str((self._run_dir / "logs").resolve()) + os.sep
        found = {}
        for pid in self.pids():
            try:
                output = os.readlink(f"/proc/{pid}/fd/1")
            except OSError:
                continue  # it has ended
            if output.startswith(logs):
                found[output.removeprefix(logs).removesuffix(".log")] = pid
        return found

    def pids(self) -> list[int]:
        """Of every process of the run's session that lives, the program itself left out."""
        found = []
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) != self._process.pid:
                state, session = _state_and_session(int(entry.name))
                if session == self._process.pid and state != "Z":
                    found.append(int(entry.name))
        return found

    def interrupt(self) -> None:
        """Asks the run to end, as Ctrl-C does."""
        if self.exit_code is None and self._process.pid is not None:
            os.kill(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Ends the program and all that it has started, by SIGKILL, and waits until nothing of it is left."""
        self._process.kill()
        while pids := self.pids():
            for pid in pids:
                kill_one(pid)
        self._process.join()


def kill_one(pid: int) -> None:
    """Kills a process of the run, unless it has ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _state_and_session(pid: int) -> tuple[str, int]:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[3])


def _train(gin_files: list[str], bindings: list[str], run_dir: str, log: str) -> None:
    os.setsid()
    output_file.redirect(log)
    logging.set_verbosity(logging.WARNING)
    logging.use_absl_handler()
    try:
        result = training.run(gin_loading.load(gin_files, bindings), run_dir)
    except errors.TfquarlError as error:
        logging.error("%s", error)
        sys.exit(1)
    sys.exit(command_line.INTERRUPTED if result.status is budget.Status.INTERRUPTED else 0)
