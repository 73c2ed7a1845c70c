"""Tests of tools/report.py as a command."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from tfquarl.testing import study_runs

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.report", *flags]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_study_becomes_a_page_with_plots_and_data(tmp_path: pathlib.Path):
    root = tmp_path / "study"
    for task in ("first", "second"):
        study_runs.write_run(root / task, "S", 1, [(10.0, 50.0), (20.0, 100.0)], 50.0, 40.0)
        study_runs.write_run(root / task, "I8", 1, [(5.0, 50.0), (10.0, 100.0)], 25.0, 10.0)
    other = tmp_path / "four_collectors"
    study_runs.write_run(other / "first", "S", 1, [(10.0, 50.0)], 50.0, 40.0)
    (tmp_path / "page").mkdir()
    result = _run(f"--study={root}", f"--scaling={other}", f"--output={tmp_path / 'page' / 'actorq'}")
    assert result.returncode == 0, result.stderr[-2000:]
    page = (tmp_path / "page" / "actorq.md").read_text()
    for part in ("## first", "to 95% of S (s)", "bytes per policy", "g CO2e", "## Geometric means over tasks"):
        assert part in page and part in result.stdout
    assert "| I8 | 2.00 | 2.00 | 2.00 |" in page  # wall time, to 90 %, to 95 %
    assert re.search(r"\nI8 +2\.00 +2\.00 +2\.00", result.stdout) and "![" not in result.stdout
    assert result.stdout.endswith("/page/actorq.md\n")
    data = json.loads((tmp_path / "page" / "actorq.json").read_text())
    assert [task["task"] for task in data["tasks"]] == ["first", "second"]
    plots = {path.name for path in (tmp_path / "page").glob("*.png")}
    assert plots == {"actorq_first.png", "actorq_second.png", "actorq_breakdown.png"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param([], "--runs and --output are needed", id="nothing"),
        pytest.param(
            ["--study=missing", "--output=nowhere/page"], "--output=nowhere/page: there is no directory", id="no place"
        ),
        pytest.param(["--study=missing", "--output={here}/page"], "missing is no directory", id="no study"),
        pytest.param(
            ["--throughput=missing.json", "--output={here}/page"], "missing.json can't be read", id="no throughput"
        ),
        pytest.param(["--runs=missing/*", "--output={here}/page"], "no run directory matches missing/*", id="no runs"),
    ],
)
def test_mistakes_are_one_line(flags: list[str], message: str, tmp_path: pathlib.Path):
    result = _run(*(flag.format(here=tmp_path) for flag in flags))
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1 and message in result.stderr
