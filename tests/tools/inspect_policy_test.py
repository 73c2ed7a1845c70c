"""//tools:inspect as a person types it."""

import json
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


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, str(_ROOT / "tools" / "inspect_policy.py"), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=280,
    )


@pytest.fixture(scope="module", name="run_dir")
def _run_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("run")
    tiny_runs.write_run(tiny_policies.cartpole_policy(), path)
    return path


def test_a_run_is_inspected_by_acting(run_dir: pathlib.Path, tmp_path: pathlib.Path):
    output, plots = tmp_path / "inspection.json", tmp_path / "plots"
    done = _run(f"--policy={run_dir}", "--collect=64", f"--plots={plots}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert "met by the float policy in gym:CartPole-v1" in done.stdout
    assert done.stderr == ""
    value = json.loads(output.read_text())
    assert value["observations"]["count"] >= 64
    assert {layer["name"] for layer in value["layers"]} == {"observation/quantized", "dense_0", "dense_1", "head"}
    assert {path.name for path in plots.iterdir()} == {"weights.png", "activations.png"}


def test_observations_of_a_file(run_dir: pathlib.Path, tmp_path: pathlib.Path):
    path = tmp_path / "seen.npz"
    np.savez(path, observations=tiny_policies.cartpole_policy().observations[:32])
    done = _run(f"--policy={run_dir / 'policies' / '3'}", f"--observations={path}")
    assert done.returncode == 0, done.stderr
    assert f"Layers on 32 observations of {path}, worst first" in done.stdout


def test_a_lone_file_tells_its_tensors_and_what_more_would_need(run_dir: pathlib.Path, tmp_path: pathlib.Path):
    for name in ("policy.tflite", "manifest.json"):
        (tmp_path / name).write_bytes((run_dir / "policies" / "3" / name).read_bytes())
    policy = f"--policy={tmp_path / 'policy.tflite'}"
    done = _run(policy)
    assert done.returncode == 0, done.stderr
    assert "dense_0/kernel" in done.stdout
    assert "Weights" not in done.stdout
    assert "policy.tflite is one policy, so leave it out" in _run(policy, "--version=best").stderr
    refused = _run(policy, "--collect=64")
    assert refused.returncode == 1
    assert "need policy_float32.tflite with its manifest there" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--policy is needed"),
        (["--policy=nowhere"], "there is no 'nowhere'"),
        (["--policy=/", "--observations=a.npz", "--collect=64"], "exclude each other"),
        (["--policy=/", "--output=/nowhere/a.json"], "there is no directory /nowhere"),
        (["--policy=/", "--plots=/proc/plots"], "--plots=/proc/plots can't be written"),
    ],
    ids=["no policy", "no such path", "two sources", "no output directory", "no place for plots"],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str):
    done = _run(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_program_hides_a_module_of_the_standard_library():
    names = {path.stem for path in (_ROOT / "tools").glob("*.py")}
    assert "inspect_policy" in names
    assert not names & sys.stdlib_module_names
