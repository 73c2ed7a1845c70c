"""What a process takes of the machine, as Linux counts it."""

from collections.abc import Collection
from collections.abc import Iterable
import dataclasses
import os
import pathlib

_PROC = pathlib.Path("/proc")


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory of one process.

    Attributes:
      resident_bytes: every page that it has in memory, also those that others share (RSS).
      proportional_bytes: its own pages, and its share of those that processes have in common (PSS).
      private_bytes: its own pages alone that it has written to; a library's pages become a process's own when others that use the library
        end.
    """

    resident_bytes: int
    proportional_bytes: int
    private_bytes: int


@dataclasses.dataclass(frozen=True)
class ProcessUsage:
    """All that a process takes at one moment.

    Attributes:
      memory: of it.
      open_files: its file descriptors, sockets and pipes among them.
      threads: of it.
      cpu_sec: processor time so far, user and system, of all its threads and of the processes that it has started and waited for.
    """

    memory: Memory
    open_files: int
    threads: int
    cpu_sec: float


@dataclasses.dataclass(frozen=True)
class CpuTime:
    """Processor time of one process.

    Attributes:
      start: when it began, in clock ticks since the machine did; tells it from a later process of the same id.
      sec: what it has used so far, user and system, all threads together.
    """

    start: int
    sec: float


def usage(pid: int, proc: pathlib.Path = _PROC) -> ProcessUsage:
    """Of the process `pid`.

    Raises:
      OSError: there is no such process, or it belongs to another user.
    """
    fields = _stat_fields(pid, proc)
    return ProcessUsage(
        memory(pid, proc),
        len(os.listdir(proc / str(pid) / "fd")),
        int(fields[17]),
        sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"),
    )


def memory(pid: int, proc: pathlib.Path = _PROC) -> Memory:
    """Of the process `pid`.

    Raises:
      OSError: there is no such process, or it belongs to another user.
    """
    text = (proc / str(pid) / "smaps_rollup").read_text()
    if not text:  # the process has ended, and only waits for its parent to be told
        raise ProcessLookupError(f"process {pid} has ended")
    kib: dict[str, int] = {}
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    return Memory(1024 * kib["Rss"], 1024 * kib["Pss"], 1024 * kib["Private_Dirty"])


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of several processes together, each page counted once."""
    return sum(memory(pid).proportional_bytes for pid in pids)


def cpu_time(pid: int, proc: pathlib.Path = _PROC) -> CpuTime:
    """Processor time of the process `pid`.

    Raises:
      OSError: there is no such process.
    """
    fields = _stat_fields(pid, proc)
    return CpuTime(int(fields[19]), sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK"))


def cpu_sec(pid: int, proc: pathlib.Path = _PROC) -> float:
    """Processor time that the process has used, all threads together.

    Raises:
      OSError: there is no such process.
    """
    return cpu_time(pid, proc).sec


def descendants(pid: int, proc: pathlib.Path = _PROC, without: Collection[int] = ()) -> list[int]:
    """Process ids of the living children, their children, and so on; none of those in `without`, nor of what comes from them.

    A process that has ended, or belongs to another user, has none.
    """
    found = []
    for path in proc.glob(f"{pid}/task/*/children"):
        try:
            children = [int(child) for child in path.read_text().split()]
        except OSError:
            continue  # that thread has ended
        for child in children:
            if child not in without:
                found += [child, *descendants(child, proc, without)]
    return found


def _stat_fields(pid: int, proc: pathlib.Path) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, 'state', on; 'utime' is at 11, 'num_threads' at 17 and 'starttime' at 19 (proc_pid_stat(5))."""
    # The name in parentheses may hold anything.
    return (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
