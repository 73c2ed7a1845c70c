"""Writes what each process of a run takes of the machine: memory, file descriptors, threads, processor time."""

from collections.abc import Callable
from collections.abc import Mapping
import os
from typing import Protocol

from tfquarl.core import interfaces
from tfquarl.metrics import names
from tfquarl.metrics import process_usage

LAUNCHER = "launcher"

_INTERVAL_SEC = 10.0


class Processes(Protocol):
    """Whoever started the processes of a run."""

    def pids(self) -> Mapping[str, int]:
        """Process ids of the nodes that are alive, by their names."""
        ...

    def helpers(self) -> Mapping[str, int]:
        """Process ids of what the nodes come from, by name, whether nodes are alive or not."""
        ...


class ProcessMonitor:
    """Reads /proc every 10 seconds: for the nodes, the fork server that they come from, and this process.

    Args:
      metrics: where the rows go, a group 'system/<process>' for each.
      elapsed_sec: for how long the run has been going, which is the rows' step.
    """

    def __init__(self, metrics: interfaces.MetricsSink, elapsed_sec: Callable[[], float]) -> None:
        self._metrics = metrics
        self._elapsed_sec = elapsed_sec
        self._next_sec = 0.0

    def sample_if_due(self, processes: Processes | None = None) -> None:
        """Writes a row for each process if the last ones are old enough.

        Args:
          processes: the nodes; None where there is no process but this one.
        """
        now_sec = self._elapsed_sec()
        if now_sec < self._next_sec:
            return
        self._next_sec = now_sec + _INTERVAL_SEC
        self._sample({LAUNCHER: os.getpid()})
        if processes is not None:
            self._sample({**processes.pids(), **processes.helpers()})

    def _sample(self, pids: Mapping[str, int]) -> None:
        for name, pid in pids.items():
            try:
                usage = process_usage.usage(pid)
            except OSError:
                continue  # it has ended by now
            values = {
                names.RESIDENT_BYTES: usage.memory.resident_bytes,
                names.PROPORTIONAL_BYTES: usage.memory.proportional_bytes,
                names.PRIVATE_BYTES: usage.memory.private_bytes,
                names.OPEN_FILES: usage.open_files,
                names.THREADS: usage.threads,
                names.CPU_SEC: usage.cpu_sec,
            }
            self._metrics.write(names.system_group(name), int(self._elapsed_sec()), values)
