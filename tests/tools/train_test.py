"""Tests of tools/train.py as a command: what it refuses, before any process starts. Runs are in tests/integration."""

import os
import re
import socket
import subprocess
import sys

import pytest

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"
_PATIENCE_SEC = 120


def _train(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    command = [sys.executable, "-m", "tools.train", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE_SEC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "--gin_file is needed", id="no_gin_file"),
        pytest.param(["--gin_file=no.gin"], "no gin file 'no.gin'; looked in ", id="gin_file"),
        pytest.param(["--gin_fil=a"], "Unknown command line flag 'gin_fil'", id="flag"),
        pytest.param([f"--gin_file={_EXPERIMENT}", "oops"], "unexpected argument 'oops'", id="argument"),
        pytest.param(
            [f"--gin_file={_EXPERIMENT}", "--gin_bindings=Experiment.sed = 1"],
            r"--gin_bindings:1: Configurable 'Experiment' doesn't have a parameter named 'sed'; did you mean 'seed'\?",
            id="binding",
        ),
        pytest.param(
            [f"--gin_file={_EXPERIMENT}", "--gin_bindings=EnvironmentConfig.name = 'gym:CartPol-v1'"],
            "--gin_bindings:1: EnvironmentConfig.name: environment 'gym:CartPol-v1' is unknown; the closest known ones are 'gym:Cart",
            id="environment",
        ),
        pytest.param(
            [f"--gin_file={_EXPERIMENT}", "--gin_bindings=EnvironmentConfig.name = 'gymnasium:Pendulum-v1'"],
            r"configs/gin/agent/dqn.gin:\d+: Experiment.agent: .* needs discrete actions",
            id="agent_that_cannot_act_there",
        ),
        pytest.param(
            [f"--gin_file={_EXPERIMENT}", "--gin_bindings=Experiment.key_file = 'no.key'"],
            "--gin_bindings:1: Experiment.key_file: key file no.key: No such file or directory",
            id="key_file",
        ),
        pytest.param(
            [f"--gin_file={_EXPERIMENT}", "--port=65536"], "--port is 65536, needs 1 to 65535, or 0", id="port"
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_is_made(tmp_path, arguments, message):
    result = _train(*arguments, f"--root_dir={tmp_path / 'run'}")
    assert result.returncode == 1
    *_, line = result.stderr.splitlines()
    assert re.match(f"error: {message}", line), result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_port_that_is_in_use_is_told_in_one_line_and_an_earlier_run_is_left_as_it_was(tmp_path):
    kept = {"summary.json": '{"status": "interrupted"}', "operative_config.gin": "", "metrics.jsonl": ""}
    for name, text in kept.items():
        (tmp_path / name).write_text(text)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        flags = ["--bind_address=0.0.0.0", f"--port={port}", f"--root_dir={tmp_path}"]
        result = _train(f"--gin_file={_EXPERIMENT}", *flags)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        f"error: port {port} is in use by another program; end that program, or"
    )
    assert "Traceback" not in result.stderr
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == kept


def test_a_directory_that_holds_something_like_a_run_is_left_alone(tmp_path):
    (tmp_path / "summary.json").write_text("{}")
    result = _train(f"--gin_file={_EXPERIMENT}", f"--root_dir={tmp_path}")
    assert result.returncode == 1
    assert "holds a run without its operative_config.gin; give another --root_dir" in result.stderr
    assert os.listdir(tmp_path) == ["summary.json"]


def test_a_directory_with_files_of_the_users_is_left_alone(tmp_path):
    (tmp_path / "README.txt").write_text("notes")
    result = _train(f"--gin_file={_EXPERIMENT}", f"--root_dir={tmp_path}")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        f"error: --root_dir={tmp_path} has files in it and holds no run; give a new or an empty directory, or that of a run"
    )
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"README.txt": "notes"}
