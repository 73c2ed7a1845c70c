"""Tests of `tfquarl.experiments.throughput_report`."""

import json

import pytest

from tfquarl.core import errors
from tfquarl.experiments import throughput_report


def _row(case, metric, value, low=None, high=None):
    return {"case": case, "metric": metric, "value": value, "unit": "", "low": low, "high": high}


def _rows(task, stock_rate, speed, cpu):
    own = f"{task} 3x2048 static_wi8_ai8"
    return [
        _row(f"{task} 3x2048 TF-Agents", "steps per second", stock_rate, 1.0, 2.0),
        _row(own, "steps per second", stock_rate * speed, 1.0, 2.0),
        _row(own, "speed over TF-Agents", speed, speed - 0.5, speed + 0.5),
        _row(own, "processor time below TF-Agents", cpu, cpu, cpu),
        _row(own, "speed over float32", 3.0),
    ]


def _write(path, rows):
    machine = {"cores": 2, "cpu": "X", "flags": ["avx2"]}
    command = ["tools/benchmark.py", "--suite=throughput"]
    path.write_text(
        json.dumps(
            {"suite": "throughput", "machine": machine, "versions": {"commit": "abc"}, "command": command, "rows": rows}
        )
    )
    return path


def test_a_row_for_each_task_and_their_geometric_mean(tmp_path):
    source = _write(tmp_path / "figures.json", _rows("gym:A", 100.0, 4.0, 3.0) + _rows("gym:B", 250.0, 9.0, 12.0))
    (tmp_path / "made").mkdir()
    text = throughput_report.write_report(source, tmp_path / "made" / "page")
    assert (tmp_path / "made" / "page.md").read_text() == text
    speeds, cpu = text.split("## ")[1:]
    assert "| gym:A 3x2048 | 100.0 | 4.00 (3.50 .. 4.50) |" in speeds
    assert "| gym:B 3x2048 | 250.0 | 9.00 (8.50 .. 9.50) |" in speeds
    assert "| geometric mean |  | 6.00 |" in speeds  # of 4 and 9
    assert "| geometric mean |  | 6.00 |" in cpu  # of 3 and 12
    assert "| task | S steps/s | I8 |" in speeds
    assert "./bazelw run //tools:benchmark -- --suite=throughput" in text and "commit abc" in text


def test_one_turn_alone_has_no_interval_and_a_missing_arm_is_told(tmp_path):
    rows = [
        *_rows("gym:A", 100.0, 4.0, 3.0),
        _row("gym:B 3x2048 TF-Agents", "steps per second", 5.0),
        _row("gym:C 3x2048 TF-Agents", "steps per second", 5.0),
        _row("gym:C 3x2048 static_wi8_ai8", "speed over TF-Agents", 9.0),
    ]
    text = throughput_report.write_report(_write(tmp_path / "figures.json", rows), tmp_path / "page")
    assert "| gym:B 3x2048 | 5.000 | -- |" in text
    assert "| gym:C 3x2048 | 5.000 | 9.00 |" in text
    assert "6.00 (2 of 3 tasks)" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1", "can't be read"),
        ("{}", "give the --output of //tools:benchmark"),
        (None, "can't be read"),
    ],
    ids=["damaged", "something else", "missing"],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "figures.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.ArtifactError, match=message):
        throughput_report.write_report(path, tmp_path / "page")


def test_figures_without_tf_agents_are_refused(tmp_path):
    source = _write(tmp_path / "figures.json", [_row("gym:A 3x2048 float32", "steps per second", 1.0)])
    with pytest.raises(errors.ArtifactError, match="--suite=throughput"):
        throughput_report.write_report(source, tmp_path / "page")
