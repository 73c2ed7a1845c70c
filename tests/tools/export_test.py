"""//tools:export as a person types it."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.tools import tiny_runs
from tfquarl.networks import architecture
from tfquarl.testing import tiny_policies

_ROOT = pathlib.Path(architecture.__file__).parents[2]


def _run(tool: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}
    return subprocess.run(
        [sys.executable, str(_ROOT / "tools" / f"{tool}.py"), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=280,
    )


@pytest.fixture(scope="module", name="run_dir")
def _run_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("run")
    tiny_runs.write_run(tiny_policies.cartpole_policy(), path)
    (path / "units.json").write_text('{"pole": [{"name": "angle", "unit": "rad"}]}')
    (path / "summary.json").write_text('{"experiment": "a tiny run"}')
    return path


def test_a_run_becomes_a_bundle(run_dir: pathlib.Path, tmp_path: pathlib.Path):
    apt_get = tmp_path / "bin" / "apt-get"
    apt_get.parent.mkdir()
    apt_get.write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    apt_get.chmod(0o755)
    variables = {"PATH": os.pathsep.join([str(apt_get.parent), os.environ["PATH"]]), "HOME": str(tmp_path)}
    flags = ("--io=int8", "--episodes=2", "--verify=arm64", f"--output_dir={tmp_path / 'policy'}")
    done = _run("export", f"--run_dir={run_dir}", *flags, **variables)
    assert done.returncode == 0, done.stderr
    assert "ai-edge-litert arm64: skipped, apt-get failed: E: no network" in done.stdout
    assert "collecting 1000 + 500 held-out observations by acting in gym:CartPole-v1 ..." in done.stderr
    assert "XNNPACK" not in done.stderr
    assert "tflite-micro reference" in done.stdout
    assert "return of the exported policy: 500.0 (500.0 to 500.0) over 2 episodes" in done.stdout
    assert "| exported | 500.0 |" in (tmp_path / "policy" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("place", ["policies/best", "policies/3/policy.tflite"])
def test_a_directory_of_a_version_or_its_file_does_as_well(run_dir: pathlib.Path, tmp_path: pathlib.Path, place: str):
    seen = tmp_path / "seen.npz"
    np.savez(seen, observations=tiny_policies.cartpole_policy().observations)
    done = _run("export", f"--run_dir={run_dir / place}", f"--observations={seen}", f"--output_dir={tmp_path / 'new'}")
    assert done.returncode == 0, done.stderr
    assert "XNNPACK" not in done.stderr
    assert "| experiment | a tiny run |" in (tmp_path / "new" / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--run_dir is needed"),
        (["--run_dir=/nonexistent", "--output_dir={new}"], "there is no '/nonexistent'; give a run directory"),
        (["--run_dir={run}", "--output_dir=/proc/new"], "--output_dir=/proc/new can't be written"),
        (["--run_dir={run}", "--output_dir={new}", "--units={run}/no.json"], "reading {run}/no.json failed"),
        (
            ["--run_dir={run}", "--output_dir={new}", "--units={run}/units.json"],
            "units name 1 elements of field 'pole'",
        ),
        (["--run_dir={run}", "--output_dir={new}", "--max_error_share=-1"], "--max_error_share=-1"),
        (["--run_dir={run}", "--output_dir={new}", "--tolerance_steps=-1"], "--tolerance_steps=-1"),
        (["--run_dir={run}", "--output_dir={new}", "--max_error_share=nan"], "--max_error_share=nan: needs a finite"),
        (["--run_dir={run}", "--output_dir={new}", "--tolerance_steps=inf"], "--tolerance_steps=inf: needs a finite"),
        (["--run_dir={run}", "--output_dir={new}", "--tolerance_steps=nan"], "--tolerance_steps=nan: needs a finite"),
        (["--run_dir={run}"], "--output_dir is needed"),
        (["--run_dir={run}", "--output_dir={full}"], "has files in it"),
        (["--run_dir={run}", "--output_dir={new}", "--policy=9"], "has no policy '9'"),
        (["--run_dir={run}", "--output_dir={new}", "--recipe=static_wi8"], "unknown recipe 'static_wi8'"),
        (["--run_dir={run}", "--output_dir={new}", "--recipe=float16", "--io=int8"], "needs int8 activations"),
        (["--run_dir={run}", "--output_dir={new}", "--verify=risc"], "--verify names 'risc'"),
        (["--run_dir={run}", "--output_dir={new}", "--observations=/nonexistent.npz"], "no such file"),
        (["--run_dir={run}", "--output_dir={new}", "--colour=red"], "Unknown command line flag 'colour'"),
    ],
    ids=[
        "no run",
        "missing run",
        "a place that takes no files",
        "missing units",
        "units of other observations",
        "negative error",
        "negative tolerance",
        "error without a number",
        "infinite tolerance",
        "tolerance without a number",
        "no output directory",
        "files in the way",
        "missing policy",
        "unknown recipe",
        "integers without an integer recipe",
        "unknown runtime",
        "missing observations",
        "unknown flag",
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    run_dir: pathlib.Path, tmp_path: pathlib.Path, arguments: list[str], complaint: str
):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("")
    done = _run("export", *(text.format(run=run_dir, new=tmp_path / "new", full=full) for text in arguments))
    assert done.returncode == 1
    assert complaint.format(run=run_dir) in done.stderr
    assert "collecting" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
    assert "Traceback" not in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["full"]
