"""Tests of tools/evaluate.py on a policy that was trained for 200 environment steps."""

import json
import os
import subprocess
import sys

from imageio import v2 as imageio
import numpy as np
import pytest

from tests.tools import tiny_runs
from tfquarl.environments import registry
from tfquarl.metrics import return_text
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import initial_variables
from tfquarl.testing import tiny_policies
from tfquarl.testing import train_process

_PATIENCE_SEC = 240


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("train") / "run"
    steps = "Experiment.num_env_steps = 200"
    with train_process.TrainProcess(path, steps, gin_files=("configs/gin/scale/debug.gin",)) as run:
        assert run.finish() == 0, run.stderr
    return path


def _evaluate(*arguments, cwd=None):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    environment.pop("BUILD_WORKING_DIRECTORY", None)
    return subprocess.run(
        [sys.executable, "-m", "tools.evaluate", *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SEC,
    )


def test_a_run_gives_a_table_a_file_and_a_film(run_dir, tmp_path):
    result = _evaluate(
        f"--policy={run_dir}", "--episodes=4", "--seed=3", "--output=a.json", "--video=a.gif", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "XNNPACK" not in result.stderr
    value = json.loads((tmp_path / "a.json").read_text())
    assert value["policy_version"] == json.loads((run_dir / "summary.json").read_text())["policy_version"]
    for key, row in (("int8", "static_wi8_ai8"), ("float32", "float32")):
        low, high = value[key]["confidence_interval"]
        returns = " ".join(return_text.cells(value[key]["mean_return"], low, high))
        cells = f"{returns} 4 {value[key]['size_bytes']:,}"
        assert [row, *cells.split()] in [line.split() for line in result.stdout.splitlines()]
        assert low <= value[key]["mean_return"] <= high and len(value[key]["returns"]) == 4
    frames = list(imageio.get_reader(tmp_path / "a.gif").iter_data())
    assert len(frames) >= 8 and len({frame.tobytes() for frame in frames}) > 4  # a pole that moves


def test_a_file_is_evaluated_the_same_each_time_and_filmed_as_mp4(run_dir, tmp_path):
    model = run_dir / "policies" / "latest" / "policy.tflite"
    film = tmp_path / "a.mp4"
    first = _evaluate(f"--policy={model}", "--episodes=2", f"--output={tmp_path / 'a.json'}", f"--video={film}")
    again = _evaluate(f"--policy={run_dir}", "--version=latest", "--episodes=2", f"--output={tmp_path / 'b.json'}")
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    values = [json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json")]
    assert values[0]["int8"] == values[1]["int8"] and values[0]["float32"] == values[1]["float32"]
    assert len(list(imageio.get_reader(film).iter_data())) >= 8


def _without_backend():
    return {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}


def _can_draw():
    """Whether this machine has an OpenGL library that MuJoCo can draw by without a screen."""
    program = (
        "from tfquarl.environments import graphics; graphics.prepare(can_render=True); "
        "from dm_control import suite; suite.load('pendulum', 'swingup').physics.render()"
    )
    return not subprocess.run([sys.executable, "-c", program], env=_without_backend(), capture_output=True).returncode


def test_a_policy_of_dm_control_is_filmed(tmp_path, monkeypatch):
    if not _can_draw():
        pytest.skip("neither EGL nor OSMesa draws here")
    spec = registry.spec("dm_control:pendulum-swingup", action_repeat=100)
    architecture = architecture_lib.action_architecture(spec, (8, 8))
    variables = initial_variables.initial_variables(architecture, 0)
    observations = np.random.default_rng(0).uniform(-1, 1, (256, 3)).astype(np.float32)
    tiny_runs.write_run(tiny_policies.TinyPolicy(spec, architecture, variables, observations), tmp_path)
    film = tmp_path / "a.gif"
    monkeypatch.delenv("MUJOCO_GL")
    result = _evaluate(f"--policy={tmp_path}", "--episodes=1", f"--video={film}")
    assert result.returncode == 0, result.stderr
    assert [frame.shape[:2] for frame in imageio.get_reader(film)] == [(240, 320)] * 11


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "--policy is needed", id="no_policy"),
        pytest.param(["--policy={run}", "--version=99"], "has no policy '99': it has ", id="version"),
        pytest.param(
            ["--policy={run}/policies/latest", "--version=best"], "/policies/latest is one policy, so", id="one_policy"
        ),
        pytest.param(
            ["--policy={run}/policies/best/policy.tflite", "--version=7"], "--version chooses among a run's", id="file"
        ),
        pytest.param(["--policy={run}", "--episodes=0"], "--episodes=0: 0 is not a positive integer", id="episodes"),
        pytest.param(["--policy={run}", "--seed=4294967296"], "--seed=4294967296: 4294967296 is not an int", id="seed"),
        pytest.param(["--policy={run}", "--video={run}/a.avi"], "needs a name that ends in .mp4 or .gif", id="video"),
        pytest.param(["--policy={run}", "--output={run}/no/a.json"], "there is no directory ", id="output"),
        pytest.param(["--policy={run}", "--output={run}"], "is a directory; needs the name of a file", id="output_dir"),
        pytest.param(["--policy={run}", "--output=/proc/a.json"], "/proc takes no files", id="output_place"),
        pytest.param(
            ["--policy={run}", "--video=/no/x.mp4"], "--video=/no/x.mp4: there is no directory /no; make", id="no_dir"
        ),
        pytest.param(["--policy={run}", "--video=/tmp/a.gif", "--output=/tmp/./a.gif"], "of its own", id="same_file"),
        pytest.param(["--policy={run}", "--epsiodes=3"], "Unknown command line flag 'epsiodes'", id="flag"),
        pytest.param(["--policy={run}/summary.json"], "summary.json has no 'signature'", id="no_model"),
    ],
)
def test_a_mistake_is_told_in_one_line(run_dir, arguments, message):
    result = _evaluate(*[argument.format(run=run_dir) for argument in arguments])
    assert result.returncode == 1
    *_, line = result.stderr.splitlines()
    assert line.startswith("error: ") and message in line
    assert "Traceback" not in result.stderr and result.stdout == ""
