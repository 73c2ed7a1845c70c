"""Tests of the sweep command's line."""

import pathlib
import subprocess
import sys

import pytest

from tfquarl.experiments import kept_plan
from tfquarl.experiments import sweep_plan

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SWEEP_FILE = f"--sweep_file={_ROOT}/configs/sweeps/dqn_cartpole_bits.json"
_GIN_FILE = "--gin_file=configs/gin/experiments/dqn_cartpole_int8.gin"


def _start(directory: pathlib.Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """The command, typed in `directory`."""
    program = (
        f"import sys; sys.path[:0] = [{str(_ROOT)!r}]; from tools import sweep; sweep.command_line.run(sweep.main)"
    )
    command = [sys.executable, "-c", program, *flags]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120, check=False)


def _run(directory: pathlib.Path, *flags: str) -> tuple[int, str]:
    """Exit code and error line of the command."""
    done = _start(directory, *flags)
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return done.returncode, line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--root_dir is needed, and either --sweep_file or --gin_file"),
        (["--root_dir=a", "--sweep_file=b", "--gin_file=c"], "either --sweep_file or --gin_file"),
        (["--root_dir=a", _GIN_FILE, "--output=b/page"], "--output=b/page: there is no directory"),
        (["--root_dir=a", "--sweep_file=missing.json"], "sweep file missing.json"),
        (["--root_dir=a", "--gin_file=missing.gin"], "no gin file 'missing.gin'"),
        (["--root_dir=a", "--gin_file=x.gin", "--grid=A.x"], "needs the form"),
        (["--root_dir=a", "--gin_file=x.gin", "--grid=A.x = 1", "--grid=A.x = 2"], "--grid has A.x twice"),
        (["--root_dir=a", "--gin_file=x.gin", "--seeds=one"], "--seeds=one needs whole numbers"),
        (
            ["--root_dir=a", _GIN_FILE, "--search=A.x = foo(1e-4, 1e-2)"],
            "'foo(1e-4, 1e-2)' is no value; needs float(a, b)",
        ),
        (["--root_dir=a", _GIN_FILE, "--search=DqnBuilder.n_step = float(1, 2)"], "n_step"),
        (["--root_dir=a", _SWEEP_FILE, "--seeds=5", "--episodes=1"], "--seeds, --episodes beside --sweep_file"),
        (
            ["--root_dir=a", _SWEEP_FILE, "--grid=A.x = 1", "--gin_bindings=A.y = 1"],
            "--gin_bindings, --grid beside --sweep_file",
        ),
        (["--root_dir=a", _SWEEP_FILE, "--search=A.x = 1 | 2"], "--search takes the place of a grid"),
        (
            ["--root_dir=a", "--gin_file=x.gin", "--grid=A.x = 1", "--search=A.y = 1 | 2"],
            "--search takes the place of a grid",
        ),
        (["--root_dir=a", "--gin_file=x.gin", "--trials=3"], "--trials is of a search; give --search"),
        (["--root_dir=a", _GIN_FILE, "--search=Experiment.seed = 1 | 2"], "give --seeds"),
    ],
    ids=[
        "nothing",
        "both",
        "no place for a page",
        "no sweep file",
        "no gin file",
        "grid",
        "grid twice",
        "seeds",
        "search",
        "type of a search",
        "seeds and episodes beside a file",
        "grid and bindings beside a file",
        "search beside a file with a grid",
        "search beside a grid",
        "trials without a search",
        "search of seeds",
    ],
)
def test_mistakes_end_in_one_line_before_anything_runs(flags: list[str], message: str, tmp_path: pathlib.Path):
    code, line = _run(tmp_path, *flags)
    assert code == 1
    assert message in line
    assert not list(tmp_path.iterdir())


def test_help_shows_commands_as_they_are_typed():
    command = [sys.executable, "-m", "tools.sweep", "--help"]
    text = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False).stdout
    assert "--seeds=0,1,2 \\\n" in text and "--grid=\"ConverterConfig.recipe = 'float32' | 'qat_wi4_ai4'\"" in text


def test_a_directory_of_a_run_is_left_alone(tmp_path: pathlib.Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "operative_config.gin").touch()
    code, line = _run(tmp_path, _GIN_FILE, "--root_dir=run")
    assert code == 1 and "is not empty and holds no sweep" in line
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["operative_config.gin"]


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: pathlib.Path):
    (tmp_path / "file").touch()
    code, line = _run(tmp_path, _GIN_FILE, "--root_dir=file/sweep")
    assert code == 1 and "file/sweep failed: Not a directory" in line


def test_other_settings_are_refused_by_name(tmp_path: pathlib.Path):
    plan = sweep_plan.SweepPlan("s", ("configs/gin/experiments/dqn_cartpole_int8.gin",))
    with kept_plan.go_on(tmp_path / "a", kept_plan.KeptPlan("sweep", plan.settings(plan.cells()))):
        pass
    code, line = _run(tmp_path, _GIN_FILE, "--root_dir=a", "--gin_bindings=DqnBuilder.n_step = 3", "--episodes=5")
    assert code == 1 and "num_episodes: 100 -> 5; DqnBuilder.n_step: 10 -> 3;" in line
