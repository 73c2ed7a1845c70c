"""Tests of `tfquarl.program.energy_monitor`."""

import os
import pathlib

from tfquarl.core import errors
from tfquarl.metrics import energy
from tfquarl.metrics import names
from tfquarl.metrics import process_usage
from tfquarl.program import energy_monitor
from tfquarl.testing import memory_metrics

_CPU_SEC = {"collector_0": 1.0, "collector_1": 3.0, "learner": 1.0}
_REPORT = energy.EnergyReport(
    "estimated", 50.0, 1e-5, {"collector": 40.0, "learner": 10.0}, _CPU_SEC, 5.0, 10.0, 0.0, "WORLD", 480.0, "Z"
)


class _Meter(energy.EnergyMeter):
    """Keeps what it was asked to look at, and always tells the same."""

    def __init__(self) -> None:
        super().__init__(energy.EnergyConfig())
        self.samples: list[list[str]] = []

    def sample(self, pids):
        self.samples.append(list(pids))

    def report(self):
        return _REPORT


class _Nodes:
    def pids(self):
        return {"learner": os.getpid()}

    def helpers(self):
        return {"fork_server": os.getppid()}


def _no_cpu_time(pid):
    return process_usage.CpuTime(1, 0.0)


class _Run:
    """A monitor, its clock, its meter and what it wrote."""

    def __init__(self) -> None:
        self.now_sec = 0.0
        self.metrics = memory_metrics.MemoryMetrics()
        self.meter = _Meter()
        self.monitor = energy_monitor.EnergyMonitor(
            energy.EnergyConfig(), pathlib.Path(), self.metrics, lambda: self.now_sec, self.meter
        )


def test_all_processes_are_looked_at_every_second():
    run = _Run()
    for run.now_sec in (0.0, 0.9, 1.0, 2.5):
        run.monitor.sample_if_due(_Nodes())
    assert run.meter.samples == [["launcher", "learner", "fork_server"]] * 3


def test_rows_come_at_once_and_then_less_and_less_often_down_to_every_ten_seconds():
    run = _Run()
    for run.now_sec in map(float, range(40)):
        run.monitor.sample_if_due(_Nodes())
    assert [(group, step) for group, step, _ in run.metrics.rows] == [
        (names.ENERGY, step) for step in (0, 1, 3, 7, 15, 25, 35)
    ]
    assert run.metrics.rows[0][2] == {
        "Energy/joules": 50.0,
        "Energy/kg_co2e": 1e-5,
        "Energy/joules_collector": 40.0,
        "Energy/joules_learner": 10.0,
        "Energy/cpu_sec_collector": 4.0,
        "Energy/cpu_sec_learner": 1.0,
    }


def test_the_summary_looks_once_more_and_tells_energy_per_step():
    run = _Run()
    run.monitor.sample_if_due()
    summary = run.monitor.summary(200)
    assert run.meter.samples == [["launcher"]] * 2
    assert summary["joules_per_env_step"] == 0.25 and summary["joules_by_role"]["collector"] == 40.0
    assert run.monitor.summary(0)["joules_per_env_step"] is None


def test_a_resumed_run_counts_what_it_used_before():
    """Of 5 J in its last row, 4 CPU seconds of collectors and 1 of the learner, at 10 W; nothing is used after that."""
    now_sec = 30.0
    config, metrics = energy.EnergyConfig(powercap="/nowhere"), memory_metrics.MemoryMetrics()
    meter = energy.EnergyMeter(config, cpu_time=_no_cpu_time, clock=lambda: 100.0)
    monitor = energy_monitor.EnergyMonitor(config, pathlib.Path(), metrics, lambda: now_sec, meter)
    monitor.begin({"Energy/joules": 5.0, "Energy/cpu_sec_collector": 4.0, "Energy/cpu_sec_learner": 1.0})
    summary = monitor.summary(100)
    assert summary["joules"] == 50.0 and summary["joules_by_role"]["collector"] == 40.0
    assert summary["wall_sec"] == 30.0
    group, step, values = metrics.rows[-1]
    assert (group, step, values["Energy/cpu_sec_learner"]) == (names.ENERGY, 30, 1.0)


def test_a_new_run_begins_with_nothing():
    meter = energy.EnergyMeter(energy.EnergyConfig(powercap="/nowhere"), cpu_time=_no_cpu_time, clock=lambda: 100.0)
    config, metrics = energy.EnergyConfig(), memory_metrics.MemoryMetrics()
    monitor = energy_monitor.EnergyMonitor(config, pathlib.Path(), metrics, lambda: 0.0, meter)
    monitor.begin({})
    assert monitor.summary(1)["joules"] == 0.0


class _Codecarbon:
    """Stands for codecarbon, and keeps what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def start(self):
        self.asked.append("start")

    def stop(self):
        self.asked.append("stop")
        return {"joules": 49.0}


def test_codecarbon_measures_from_the_begin_to_the_summary(tmp_path, monkeypatch):
    codecarbon = _Codecarbon()
    made = []
    monkeypatch.setattr(
        energy_monitor.codecarbon_tracker, "CodecarbonTracker", lambda *arguments: made.append(arguments) or codecarbon
    )
    config, metrics = energy.EnergyConfig(use_codecarbon=True, powercap="/nowhere"), memory_metrics.MemoryMetrics()
    monitor = energy_monitor.EnergyMonitor(config, tmp_path, metrics, lambda: 0.0)
    monitor.begin({})
    assert (made, codecarbon.asked) == ([(config, False, tmp_path)], ["start"])
    assert monitor.summary(1)["codecarbon"] == {"joules": 49.0}
    assert codecarbon.asked == ["start", "stop"]


def test_codecarbon_has_no_part_unless_it_is_asked_for():
    assert "codecarbon" not in _Run().monitor.summary(1)


def test_a_last_row_that_cannot_be_written_costs_no_summary(monkeypatch):
    def write(*row):
        raise errors.StorageError("metrics.jsonl: it was deleted while the run goes on")

    run = _Run()
    monkeypatch.setattr(run.metrics, "write", write)
    assert run.monitor.summary(200)["joules_per_env_step"] == 0.25
