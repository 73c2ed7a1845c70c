"""Tests of the study command's line."""

import pathlib
import subprocess
import sys

import pytest

from tfquarl.experiments import kept_plan
from tfquarl.experiments import study_plan

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FILE = "configs/gin/experiments/actorq_cartpole.gin"


def _run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.study", *flags]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param([], "--gin_file and --root_dir are needed", id="nothing"),
        pytest.param(
            ["--gin_bindings=Experiment.num_env_steps = 2_000"],
            "can't go on with other settings: actorq_cartpole/Experiment.num_env_steps: 40000 -> 2000;",
            id="another budget",
        ),
        pytest.param([f"--gin_file={_FILE}"], "needs each once", id="a task twice"),
        pytest.param(["--arm=Q8"], "--arm=Q8 is no arm of a study; those are S, F32, F16, D8, I8", id="no such arm"),
    ],
)
def test_mistakes_are_one_line(flags: list[str], message: str, tmp_path: pathlib.Path):
    with kept_plan.go_on(tmp_path / "study", kept_plan.KeptPlan("study", study_plan.settings([_FILE]))):
        pass
    result = _run(*([f"--gin_file={_FILE}", f"--root_dir={tmp_path / 'study'}"] if flags else []), *flags)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1 and message in result.stderr


def test_a_directory_of_a_run_is_left_alone(tmp_path: pathlib.Path):
    (tmp_path / "operative_config.gin").touch()
    result = _run(f"--gin_file={_FILE}", f"--root_dir={tmp_path}")
    assert result.returncode == 1 and "is not empty and holds no study" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["operative_config.gin"]
