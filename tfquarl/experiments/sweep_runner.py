"""Runs the cells of a sweep side by side, as many as the cores allow, and goes on where it stopped."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

from tfquarl.core import errors
from tfquarl.experiments import sweep_cell
from tfquarl.experiments import sweep_plan
from tfquarl.program import command_line

_POLL_SEC = 0.05  # as often as `Popen.wait` itself looks


@dataclasses.dataclass
class _Running:
    """A cell's process.

    Attributes:
      cell: it.
      process: its handle.
      started_sec: of the clock.
    """

    cell: sweep_plan.Cell
    process: "subprocess.Popen[bytes]"
    started_sec: float


class SweepRunner:
    """Runs cells; each is a process with a directory below the sweep's."""

    def __init__(
        self,
        plan: sweep_plan.SweepPlan,
        directory: pathlib.Path,
        num_parallel: int,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.perf_counter,
        command: Sequence[str] = (sys.executable, "-m", "tfquarl.experiments.sweep_cell"),
    ) -> None:
        """Stores the arguments.

        Args:
          plan: of the sweep.
          directory: of the sweep.
          num_parallel: runs at once.
          report: takes a line whenever a run starts or ends.
          clock: seconds.
          command: that runs the cell whose directory is put behind it.
        """
        if num_parallel < 1:
            raise errors.ConfigError(f"{num_parallel} runs at once, needs 1 or more")
        self._plan, self._directory = plan, directory
        self._num_parallel = num_parallel
        self._report, self._clock, self._command = report, clock, command
        self._failed: list[str] = []
        self._durations: list[float] = []

    def run(self, cells: Sequence[sweep_plan.Cell]) -> list[dict[str, Any]]:
        """Results of all cells that succeeded, in order; finished ones are not run again.

        Raises:
          KeyboardInterrupt: the user has ended it; the runs have ended by then.
        """
        waiting = [cell for cell in cells if self.result(cell) is None]
        self._report(f"{len(cells)} runs, {len(cells) - len(waiting)} of them finished, {self._num_parallel} at once")
        running: list[_Running] = []
        try:
            while waiting or running:
                while waiting and len(running) < self._num_parallel:
                    running.append(self._start(waiting.pop(0)))
                self._wait(running)
                running = [one for one in running if not self._has_ended(one, len(waiting), len(cells))]
        except KeyboardInterrupt:
            self._end(running)
            raise
        return [result for cell in cells if (result := self.result(cell)) is not None]

    @property
    def failed(self) -> list[str]:
        """Names of the cells that failed."""
        return list(self._failed)

    def result(self, cell: sweep_plan.Cell) -> dict[str, Any] | None:
        """What a finished cell left; None where it has not finished."""
        return sweep_cell.read_result(self._directory / cell.name)

    def _start(self, cell: sweep_plan.Cell) -> _Running:
        directory = self._directory / cell.name
        sweep_cell.write_request(directory, self._plan, cell)
        self._report(f"started  {cell.name}")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with (directory / sweep_cell.LOG).open("wb") as log:
            process = subprocess.Popen(
                [*self._command, str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        return _Running(cell, process, self._clock())

    def _wait(self, running: Sequence[_Running]) -> None:
        """Waits for the end of the first process, for so short a while that the end of another one is seen in time."""
        try:
            running[0].process.wait(_POLL_SEC)
        except subprocess.TimeoutExpired:
            return

    def _has_ended(self, one: _Running, num_waiting: int, num_cells: int) -> bool:
        code = one.process.poll()
        if code is None:
            return False
        if code == command_line.INTERRUPTED:
            raise KeyboardInterrupt
        seconds = self._clock() - one.started_sec
        if self.result(one.cell) is None:
            self._failed.append(one.cell.name)
            log = self._directory / one.cell.name / sweep_cell.LOG
            self._report(f"failed   {one.cell.name} after {seconds:.0f} s, exit code {code}: {log}")
            return True
        self._durations.append(seconds)
        mean = sum(self._durations) / len(self._durations)
        left = mean * num_waiting / self._num_parallel
        self._report(
            f"finished {one.cell.name} in {seconds:.0f} s; {num_waiting} of {num_cells} wait, about {left:.0f} s"
        )
        return True

    def _end(self, running: Sequence[_Running]) -> None:
        """Ends the processes that were started here, in their own order: a run writes its summary."""
        for one in running:
            if one.process.poll() is None:
                one.process.send_signal(2)
        for one in running:
            one.process.wait()
