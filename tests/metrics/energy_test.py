"""Tests of `tfquarl.metrics.energy`."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from tfquarl.core import errors
from tfquarl.metrics import energy
from tfquarl.metrics import process_usage

# Above Linux's largest process id: no such process has children.
_PIDS = {"learner": 2**22 + 1, "collector_0": 2**22 + 2, "collector_1": 2**22 + 3}


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


def _times(**cpu_sec):
    """A `cpu_time` that knows these processes, and no other."""
    by_pid = {_PIDS[name]: seconds for name, seconds in cpu_sec.items()}

    def cpu_time(pid):
        if pid not in by_pid:
            raise ProcessLookupError
        return process_usage.CpuTime(1, by_pid[pid])

    return cpu_time


def test_without_counters_energy_is_cpu_time_times_watts(tmp_path):
    config = _config(tmp_path, watts_per_core=10.0, region="X", grid_g_per_kwh={"X": 360.0, "Y": 1.0}, grid_source="Z")
    now = [5.0]
    cpu_time = _times(learner=60.0, collector_0=30.0, collector_1=10.0)
    meter = energy.EnergyMeter(config, cpu_time, lambda: now[0], cores=2)
    meter.sample(_PIDS)
    now[0] = 65.0

    report = meter.report()
    assert report.kg_co2e == pytest.approx(1e-4)  # 1000 J are 1/3600 kWh, of 0.36 kg each
    assert report == energy.EnergyReport(
        source="estimated",
        joules=1000.0,
        kg_co2e=report.kg_co2e,
        joules_by_role={"learner": 600.0, "collector": 400.0},
        cpu_sec_by_process={"learner": 60.0, "collector_0": 30.0, "collector_1": 10.0},
        wall_sec=60.0,
        watts_per_core=10.0,
        idle_share=0.0,
        region="X",
        grid_g_per_kwh=360.0,
        grid_source="Z",
    )


def test_idle_cores_draw_their_share_for_the_whole_time(tmp_path):
    now = [0.0]
    config = _config(tmp_path, watts_per_core=10.0, idle_share=0.2)
    meter = energy.EnergyMeter(config, _times(learner=50.0), lambda: now[0], cores=2)
    meter.sample(_PIDS)
    now[0] = 100.0
    # 2 cores x 100 s x 2 W, and 8 W more for 50 s.
    assert meter.report().joules_by_role == {"learner": 400.0, "idle": 400.0}
    assert meter.report().joules == 800.0


def test_package_and_memory_counters_add_up_and_are_split_by_cpu_time(powercap):
    meter = energy.EnergyMeter(_config(powercap, idle_share=0.5), _times(learner=3.0, collector_1=1.0))
    _count(powercap, "0", 7_000_000)
    _count(powercap, "0:1", 3_000_000)
    _count(powercap, "0:0", 5_000_000)
    _count(powercap, "1", 49_000_000)
    meter.sample(_PIDS)

    report = meter.report()

    assert (report.source, report.joules, report.watts_per_core, report.idle_share) == ("rapl", 8.0, None, None)
    assert report.joules_by_role == {"learner": 6.0, "collector": 2.0}


def test_what_was_counted_before_a_resumption_is_added(powercap):
    now = [50.0]
    meter = energy.EnergyMeter(_config(powercap), _times(learner=3.0, collector_1=1.0), lambda: now[0])
    meter.add_earlier({"learner": 1.0, "collector": 3.0}, joules=16.0, wall_sec=20.0)
    _count(powercap, "0", 7_000_000)
    _count(powercap, "0:1", 3_000_000)
    _count(powercap, "0:0", 5_000_000)
    _count(powercap, "1", 49_000_000)
    meter.sample(_PIDS)
    now[0] = 60.0

    report = meter.report()

    # 8 J of these counters and 16 of before, over four CPU seconds of each.
    assert (report.joules, report.wall_sec) == (24.0, 30.0)
    assert report.joules_by_role == {"learner": 12.0, "collector": 12.0}


def test_a_counter_that_begins_anew_is_followed(powercap):
    meter = energy.EnergyMeter(_config(powercap))
    for microjoules in (45_000_000, 2_000_000):  # 44 J, then 5 J to the end of the range and 2 J beyond
        _count(powercap, "0", microjoules)
        meter.sample({})

    assert meter.report().joules == pytest.approx(51.0)


def test_a_counter_that_can_not_be_read_any_more_keeps_what_it_counted(powercap):
    meter = energy.EnergyMeter(_config(powercap))
    _count(powercap, "0", 3_000_000)  # 2 J since it was made
    meter.sample({})
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    meter.sample({})

    assert meter.report().joules == 2.0


def test_counters_that_may_not_be_read_give_an_estimate(powercap):
    for domain in ("0", "0:1"):
        (powercap / f"intel-rapl:{domain}" / "energy_uj").unlink()

    assert energy.EnergyMeter(_config(powercap)).report().source == "estimated"


@dataclasses.dataclass(frozen=True)
class _Look:
    """Processes at one moment.

    Attributes:
      pids: by the names that the meter is given.
      children: of those with some, by process id.
      cpu: (start, CPU seconds) by process id.
    """

    pids: dict[str, int]
    children: dict[int, list[int]]
    cpu: dict[int, tuple[int, float]]


@pytest.mark.parametrize(
    ("looks", "cpu_sec"),
    [
        pytest.param(
            [
                _Look({"collector_0": 5}, {}, {5: (10, 2.0)}),
                _Look({"collector_0": 6}, {}, {6: (20, 0.5)}),
            ],
            {"collector_0": 2.5},
            id="a_name_comes_back_with_another_process",
        ),
        pytest.param(
            [
                _Look({"launcher": 1}, {1: [8]}, {1: (1, 1.0), 8: (5, 2.0)}),
                _Look({"launcher": 1, "fork_server": 8}, {1: [8]}, {1: (1, 1.5), 8: (5, 2.25)}),
            ],
            {"launcher": 1.5, "fork_server": 2.25},
            id="a_process_gets_a_name_of_its_own_later",
        ),
        pytest.param(
            [
                _Look({"fork_server": 8, "learner": 9}, {8: [9]}, {8: (5, 2.0), 9: (6, 3.0)}),
                _Look({"fork_server": 8}, {8: [9]}, {8: (5, 2.0), 9: (6, 4.0)}),
            ],
            {"fork_server": 2.0, "learner": 4.0},
            id="a_process_that_has_ended_is_its_parents_child_still",
        ),
        pytest.param(
            [
                _Look({"a": 5}, {}, {5: (10, 2.0)}),
                _Look({"b": 5}, {}, {5: (10, 3.0)}),
            ],
            {"b": 3.0},
            id="a_process_changes_its_name",
        ),
        pytest.param(
            [
                _Look({"collector_0": 5}, {}, {5: (10, 2.0)}),
                _Look({"collector_0": 5}, {}, {5: (30, 0.5)}),
            ],
            {"collector_0": 2.5},
            id="an_id_comes_back_with_another_process",
        ),
        pytest.param(
            [
                _Look({"converter": 5}, {5: [7]}, {5: (10, 1.0), 7: (11, 0.5)}),
                _Look({"converter": 5}, {}, {5: (10, 1.25)}),
            ],
            {"converter": 1.75},
            id="what_has_gone_keeps_what_it_used",
        ),
    ],
)
def test_each_process_counts_once(tmp_path, monkeypatch, looks, cpu_sec):
    now = looks[0]
    monkeypatch.setattr(
        energy.process_usage,
        "descendants",
        lambda pid, without: [child for child in now.children.get(pid, []) if child not in without],
    )
    meter = energy.EnergyMeter(_config(tmp_path), lambda pid: process_usage.CpuTime(*now.cpu[pid]))
    for now in looks:
        meter.sample(now.pids)

    assert meter.report().cpu_sec_by_process == cpu_sec


def test_real_processes_are_counted_with_what_they_start_but_not_twice(tmp_path):
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()\n"
    starter = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])\n"
    with subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        meter = energy.EnergyMeter(_config(tmp_path))
        meter.sample({"launcher": os.getpid(), "converter": process.pid})
        before = meter.report().cpu_sec_by_process
        process.communicate(b"\n")
    meter.sample({"converter": process.pid})

    assert before["converter"] >= 0.15
    alone = energy.EnergyMeter(_config(tmp_path))
    alone.sample({"launcher": os.getpid()})
    assert before["launcher"] <= alone.report().cpu_sec_by_process["launcher"]
    assert meter.report().cpu_sec_by_process == before


def test_a_report_is_plain_json(tmp_path):
    meter = energy.EnergyMeter(_config(tmp_path))
    meter.sample({"launcher": os.getpid()})
    report = meter.report().to_json()

    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"watts_per_core": 0.0}, "watts_per_core is 0.0"),
        ({"idle_share": 1.5}, "idle_share is 1.5"),
        ({"grid_g_per_kwh": {"WORLD": -1.0}}, "grid_g_per_kwh of 'WORLD' is -1.0"),
        ({"region": "DEX"}, "region is 'DEX', which is neither in .* did you mean .*DEU"),
    ],
    ids=["watts", "idle", "grid", "region"],
)
def test_assumptions_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(errors.ConfigError, match=message):
        energy.EnergyConfig(**changes)


@pytest.mark.parametrize(
    ("process", "role"), [("learner", "learner"), ("collector_12", "collector"), ("fork_server", "fork_server")]
)
def test_processes_of_one_kind_have_one_role(process, role):
    assert energy.role_of(process) == role
