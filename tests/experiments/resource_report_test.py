"""Tests of tfquarl/experiments/resource_report.py."""

import json
import pathlib

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.experiments import resource_report
from tfquarl.metrics import jsonl
from tfquarl.metrics import names
from tfquarl.program import run_directory

_MIB = 2**20
_VALUES = {
    names.RESIDENT_BYTES: 9.0 * _MIB,
    names.PROPORTIONAL_BYTES: 5.0 * _MIB,
    names.PRIVATE_BYTES: 2.0 * _MIB,
    names.OPEN_FILES: 20.0,
    names.THREADS: 4.0,
    names.CPU_SEC: 1.5,
}


def _rows(process: str, growth_mib_per_hour: float = 0.0, duration_sec: int = 3600) -> list[jsonl.MetricRow]:
    rows = []
    for time_sec in range(0, duration_sec + 1, 10):
        private = 2.0 * _MIB + growth_mib_per_hour * _MIB * time_sec / 3600
        rows.append(jsonl.MetricRow(time_sec, f"system/{process}", time_sec, {**_VALUES, names.PRIVATE_BYTES: private}))
    return rows


def test_a_line_s_slope_is_exact():
    time_sec = np.arange(0.0, 3600.0, 10.0)
    growth = resource_report.slope(time_sec, 7.0 + 3.0 * time_sec / 3600)
    np.testing.assert_allclose([growth.per_hour, growth.low, growth.high], 3.0, rtol=1e-9)


def test_the_interval_of_a_flat_noisy_line_holds_zero():
    time_sec = np.arange(0.0, 3600.0, 10.0)
    noise = np.random.default_rng(0).normal(size=time_sec.size)
    growth = resource_report.slope(time_sec, 50.0 + noise)
    assert growth.low < 0 < growth.high
    assert growth.high - growth.low < 2.0


def test_the_interval_by_hand():
    # Ten parts of two samples; means 0 and 1 in turns at hours 0.5, 1.5, ...: slope 2.5 / 82.5, residual sum of squares
    # 2.5 - 2.5**2 / 82.5.
    time_sec = np.array([3600.0 * (part + offset) for part in range(10) for offset in (0.25, 0.75)])
    time_sec[0], time_sec[-1] = 0.0, 36000.0
    time_sec[1], time_sec[-2] = 3600.0 * 0.99, 36000.0 - 3600.0 * 0.99
    values = np.repeat(np.arange(10) % 2, 2).astype(float)
    growth = resource_report.slope(time_sec, values)
    assert growth.per_hour == pytest.approx(2.5 / 82.5, rel=0.01)
    error = ((2.5 - 2.5**2 / 82.5) / 8 / 82.5) ** 0.5
    assert growth.high - growth.per_hour == pytest.approx(2.306 * error, rel=0.01)


@pytest.mark.parametrize(
    ("time_sec", "message"),
    [
        pytest.param(np.arange(19.0), "needs 20 samples or more, got 19", id="too_few"),
        pytest.param(np.concatenate([np.arange(20.0), [1000.0]]), "a tenth of the run has no samples", id="a_gap"),
    ],
)
def test_no_slope_without_samples(time_sec, message):
    with pytest.raises(errors.ConfigError, match=message):
        resource_report.slope(time_sec, np.zeros(len(time_sec)))


def test_courses_are_of_system_rows_alone():
    rows = [*_rows("learner"), jsonl.MetricRow(1.0, "train", 1, {"Losses/loss": 1.0}), *_rows("converter")[:1]]
    (course,) = resource_report.read_courses(rows)
    assert course.name == "learner"
    assert course.at(names.PROPORTIONAL_BYTES, 0.5) == 5 * _MIB


def test_the_longest_age_is_over_all_collectors():
    ages = [("collect/0", 3.0), ("collect/1", 9.0), ("collect/0", 4.0)]
    rows = [jsonl.MetricRow(1.0, group, 1, {names.POLICY_LONGEST_AGE_SEC: age}) for group, age in ages]
    assert resource_report.longest_policy_age_sec(rows) == 9.0


def _write_run(path: pathlib.Path, rows: list[jsonl.MetricRow]) -> None:
    path.mkdir()
    (path / "metrics.jsonl").touch()
    writer = jsonl.JsonLinesWriter(path / "metrics.jsonl")
    for row in rows:
        writer.write(row)
    writer.close()
    summary = {"experiment": "soak", "status": "completed", "env_steps": 10, "train_steps": 5, "wall_time_sec": 3600.0}
    run_directory.RunDirectory(path).write_summary(summary)
    machine = {"cores": 2, "cpu": "a processor", "flags": []}
    versions = {"packages": {"numpy": "1"}, "commit": "abc", "command": ["train", "--seed=1"], "machine": machine}
    (path / "versions.json").write_text(json.dumps(versions))


def test_a_report(tmp_path):
    ages = [jsonl.MetricRow(5.0, "collect/0", 1, {names.POLICY_LONGEST_AGE_SEC: 2.5})]
    _write_run(tmp_path / "run", [*_rows("learner", growth_mib_per_hour=4.0), *_rows("converter"), *ages])
    (tmp_path / "made").mkdir()
    text = resource_report.write_report(tmp_path / "run", tmp_path / "made" / "soak")
    (line,) = [line for line in text.splitlines() if line.startswith("| learner")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells == ["learner", "2.400", "4.000", "6.000", "4.00", "4.00 .. 4.00", "5.000", "20 and 20", "4", "1.500"]
    assert "without a newer one: 2.5 s" in text
    assert (tmp_path / "made" / "soak.png").stat().st_size > 1000
    data = json.loads((tmp_path / "made" / "soak.json").read_text())
    assert data["processes"]["learner"]["private_mib_per_hour"]["per_hour"] == pytest.approx(4.0)
    assert data["longest_policy_age_sec"] == 2.5
    assert "Started several times" not in text


def test_a_process_that_was_started_anew(tmp_path):
    """Three lives of 30, 80 and 10 samples, which begin at 2 MiB and no CPU time; the longest one grows by 36 MiB an hour."""
    rows = []
    for count, growth_mib in ((30, 0.0), (80, 0.1), (10, 0.0)):
        for sample in range(count):
            values = {**_VALUES, names.PRIVATE_BYTES: (2.0 + growth_mib * sample) * _MIB, names.CPU_SEC: 0.5 * sample}
            rows.append(jsonl.MetricRow(10.0 * len(rows), "system/learner", 0, values))
    _write_run(tmp_path / "run", [*rows, *_rows("converter")])
    text = resource_report.write_report(tmp_path / "run", tmp_path / "soak")
    (line,) = [line for line in text.splitlines() if line.startswith("| learner")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[4:6] == ["36.00", "36.00 .. 36.00"]
    assert float(cells[-1]) == (29 + 79 + 9) * 0.5
    assert "\nStarted several times: learner 3 times. CPU time is of all lives, growth of the longest one.\n" in text


def test_a_short_run_is_told_how_long_it_has_to_be(tmp_path):
    _write_run(tmp_path / "run", _rows("learner", duration_sec=10))
    message = r"process 'learner' was watched for 10 s, a sample each 10 s; .* a run of 4 minutes or longer"
    with pytest.raises(errors.ConfigError, match=message):
        resource_report.write_report(tmp_path / "run", tmp_path / "soak")


def test_that_long_is_enough(tmp_path):
    _write_run(tmp_path / "run", _rows("learner", duration_sec=240))
    assert "| learner |" in resource_report.write_report(tmp_path / "run", tmp_path / "soak")


def test_a_run_without_figures_of_processes(tmp_path):
    _write_run(tmp_path / "run", [jsonl.MetricRow(1.0, "train", 1, {"Losses/loss": 1.0})])
    with pytest.raises(errors.ConfigError, match=r"tells nothing of processes, .* took 3600 s, .* needs a few minutes"):
        resource_report.write_report(tmp_path / "run", tmp_path / "soak")
