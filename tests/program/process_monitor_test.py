"""Tests of tfquarl/program/process_monitor.py."""

import os

from tfquarl.metrics import names
from tfquarl.program import process_monitor
from tfquarl.testing import memory_metrics


class _Processes:
    """Nodes by name, and a fork server, of which the tests' own parent is the stand-in."""

    def __init__(self, **pids: int) -> None:
        self._pids = pids

    def pids(self):
        return self._pids

    def helpers(self):
        return {"fork_server": os.getppid()}


class _Run:
    """A monitor, its clock and what it wrote."""

    def __init__(self) -> None:
        self.now_sec = 0.0
        self.metrics = memory_metrics.MemoryMetrics()
        self.monitor = process_monitor.ProcessMonitor(self.metrics, lambda: self.now_sec)

    def groups(self):
        return [group for group, _, _ in self.metrics.rows]


def test_each_process_gets_a_row():
    run = _Run()
    run.monitor.sample_if_due(_Processes(learner=os.getpid()))
    assert run.groups() == ["system/launcher", "system/learner", "system/fork_server"]
    _, step, values = run.metrics.rows[1]
    assert step == 0
    assert values[names.RESIDENT_BYTES] >= values[names.PROPORTIONAL_BYTES] >= values[names.PRIVATE_BYTES] > 1e6
    assert values[names.OPEN_FILES] >= 3 and values[names.THREADS] >= 1 and values[names.CPU_SEC] > 0


def test_rows_come_every_ten_seconds():
    run = _Run()
    for run.now_sec in (0.0, 9.9, 10.0, 15.0, 20.1):
        run.monitor.sample_if_due()
    assert [step for _, step, _ in run.metrics.rows] == [0, 10, 20]


def test_what_has_ended_is_left_out():
    run = _Run()
    run.monitor.sample_if_due(_Processes(learner=2**22 + 1, converter=os.getpid()))
    assert run.groups() == ["system/launcher", "system/converter", "system/fork_server"]


def test_the_fork_server_has_its_row_before_the_first_node():
    run = _Run()
    run.monitor.sample_if_due(_Processes())
    assert run.groups() == ["system/launcher", "system/fork_server"]
