"""What a process takes of the machine, as Linux counts it."""

from collections.abc import Iterable
import dataclasses
import os
import pathlib


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory of one process.

    Attributes:
      proportional_bytes: its own pages, and its share of those that processes have in common (PSS).
      private_bytes: its own pages alone.
    """

    proportional_bytes: int
    private_bytes: int


def memory(pid: int, proc: pathlib.Path = pathlib.Path("/proc")) -> Memory:
    """Of the process `pid`.

    Raises:
      OSError: there is no such process, or it belongs to another user.
    """
    kib: dict[str, int] = {}
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    return Memory(1024 * kib["Pss"], 1024 * (kib["Private_Clean"] + kib["Private_Dirty"]))


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of several processes together, each page counted once."""
    return sum(memory(pid).proportional_bytes for pid in pids)


def cpu_sec(pid: int, proc: pathlib.Path = pathlib.Path("/proc")) -> float:
    """Processor time that the process has used, all threads together.

    Raises:
      OSError: there is no such process.
    """
    # The name in parentheses may hold anything; the fields after it are numbers: utime and stime are the 12th and 13th.
    fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
