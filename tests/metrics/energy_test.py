"""Tests of `tfquarl.metrics.energy`."""

import json
import os
import subprocess
import sys

import pytest

from tfquarl.metrics import energy


@pytest.fixture
def powercap(tmp_path):
    """A machine with one package, its memory, its cores (part of the package) and the whole platform (a sum)."""
    for directory, name in [("0", "package-0"), ("0:0", "core"), ("0:1", "dram"), ("1", "psys")]:
        path = tmp_path / f"intel-rapl:{directory}"
        path.mkdir()
        (path / "name").write_text(name + "\n")
        (path / "energy_uj").write_text("1000000\n")
        (path / "max_energy_range_uj").write_text("50000000\n")
    return tmp_path


def _count(powercap, domain, microjoules):
    (powercap / f"intel-rapl:{domain}" / "energy_uj").write_text(f"{microjoules}\n")


def _config(powercap, **changes):
    return energy.EnergyConfig(powercap=str(powercap), **changes)


def test_without_counters_energy_is_cpu_time_times_watts(tmp_path):
    cpu_sec = {1: 0.0, 2: 0.0, 3: 0.0}
    now = [5.0]
    config = _config(tmp_path, watts_per_core=10.0, grid_g_per_kwh=360.0)
    meter = energy.EnergyMeter(config, cpu_sec.get, lambda: now[0])
    for name, pid in [("learner", 1), ("collector", 2), ("collector", 3)]:
        meter.watch(name, pid)
    cpu_sec.update({1: 60.0, 2: 30.0, 3: 10.0})
    now[0] = 65.0

    assert meter.report() == energy.EnergyReport(
        source="estimated",
        joules=1000.0,
        carbon_g=pytest.approx(0.1),  # 1000 J are 1/3600 kWh
        joules_by_process={"learner": 600.0, "collector": 400.0},
        cpu_sec_by_process={"learner": 60.0, "collector": 40.0},
        wall_sec=60.0,
        watts_per_core=10.0,
        grid_g_per_kwh=360.0,
    )


def test_package_and_memory_counters_add_up_and_are_split_by_cpu_time(powercap):
    meter = energy.EnergyMeter(_config(powercap), {1: 3.0, 2: 1.0}.get)
    meter.watch("learner", 1)
    meter.watch("server", 2)
    _count(powercap, "0", 7_000_000)
    _count(powercap, "0:1", 3_000_000)
    _count(powercap, "0:0", 5_000_000)
    _count(powercap, "1", 49_000_000)

    report = meter.report()

    assert (report.source, report.joules, report.watts_per_core) == ("rapl", 8.0, None)
    assert report.joules_by_process == {"learner": 6.0, "server": 2.0}


def test_a_counter_that_begins_anew_is_followed(powercap):
    meter = energy.EnergyMeter(_config(powercap), lambda pid: None)
    for microjoules in (45_000_000, 2_000_000):  # 44 J, then 5 J to the end of the range and 2 J beyond
        _count(powercap, "0", microjoules)
        meter.sample()

    assert meter.report().joules == pytest.approx(51.0)


def test_counters_that_may_not_be_read_give_an_estimate(powercap):
    for domain in ("0", "0:1"):
        (powercap / f"intel-rapl:{domain}" / "energy_uj").unlink()

    assert energy.EnergyMeter(_config(powercap)).report().source == "estimated"


def test_a_process_that_has_gone_keeps_what_it_used(tmp_path):
    readings = iter([2.0, None, None])
    meter = energy.EnergyMeter(_config(tmp_path, watts_per_core=4.0), lambda pid: next(readings))
    meter.watch("collector", 1)
    meter.sample()
    meter.sample()

    assert meter.report().joules_by_process == {"collector": 8.0}


def test_real_processes_are_counted_until_they_end(tmp_path):
    meter = energy.EnergyMeter(_config(tmp_path))
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()\n"
    process = subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    meter.watch("busy", process.pid)
    assert process.stdout.readline() == b"done\n"
    meter.sample()
    process.communicate(b"\n")
    meter.watch("gone", process.pid + 10**6)

    cpu_sec = meter.report().cpu_sec_by_process
    assert cpu_sec["busy"] >= 0.15
    assert cpu_sec["gone"] == 0.0


def test_a_report_is_plain_json(tmp_path):
    meter = energy.EnergyMeter(_config(tmp_path))
    meter.watch("self", os.getpid())
    report = meter.report().to_json()

    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("changes", [{"watts_per_core": 0.0}, {"grid_g_per_kwh": -1.0}], ids=str)
def test_assumptions_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError, match="watts_per_core must be positive"):
        energy.EnergyConfig(**changes)
