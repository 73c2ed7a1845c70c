"""Tests of the sweep command's line."""

import pathlib
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--root_dir is needed, and either --sweep_file or --gin_file"),
        (["--root_dir=a", "--sweep_file=b", "--gin_file=c"], "either --sweep_file or --gin_file"),
        (["--root_dir=a", "--sweep_file=missing.json"], "sweep file missing.json"),
        (["--root_dir=a", "--gin_file=missing.gin"], "no gin file 'missing.gin'"),
        (["--root_dir=a", "--gin_file=x.gin", "--grid=A.x"], "needs the form"),
        (["--root_dir=a", "--gin_file=x.gin", "--seeds=one"], "--seeds=one needs whole numbers"),
    ],
    ids=["nothing", "both", "no sweep file", "no gin file", "grid", "seeds"],
)
def test_mistakes_end_in_one_line_before_anything_runs(flags: list[str], message: str, tmp_path: pathlib.Path):
    root = str(pathlib.Path(__file__).parents[2])
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path[:0] = [{root!r}]; from tools import sweep; sweep.command_line.run(sweep.main)",
    ]
    done = subprocess.run([*command, *flags], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert not list(tmp_path.iterdir())
