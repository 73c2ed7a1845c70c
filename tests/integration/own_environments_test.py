"""docs/own_environments.md as it is written: its files are saved, its commands typed."""

import json
import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest

_DOCUMENT = pathlib.Path("docs/own_environments.md")
_PATIENCE_SEC = 600
# In the place of the real one, which the tests run under themselves. As with Bazel, what PYTHONPATH names comes last, and the directory where
# the command was typed is no place for modules.
_BAZELW = """\
#!/bin/sh
program=${2#//tools:}
[ "$program" = inspect ] && program=inspect_policy
shift 3
PYTHONPATH=$LIBRARIES${PYTHONPATH:+:$PYTHONPATH} exec "$PYTHON" -P -m "tools.$program" "$@"
"""


def _blocks(text):
    """The document's Python, its gin file, its program, what that is started by, and the commands of the example."""
    blocks = re.findall(r"^```(?:python)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return *blocks, re.findall(
        r"^    (.*)$", text[text.index("And all that") : text.index("## Name and module")], re.MULTILINE
    )


def _shell(directory, *commands):
    libraries = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
    return subprocess.run(
        ["sh", "-ec", "\n".join(commands)],
        cwd=directory,
        env={**os.environ, "LIBRARIES": libraries, "PYTHON": sys.executable, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SEC,
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """With the document's files in it, and all of its commands done."""
    path = tmp_path_factory.mktemp("own")
    python, gin, program, start, commands = _blocks(_DOCUMENT.read_text())
    (path / "my_arm.py").write_text(python)
    (path / "my_arm.gin").write_text(gin)
    (path / "my_train.py").write_text(program)
    (path / "start").write_text(start)
    (path / "bazelw").write_text(_BAZELW)
    (path / "bazelw").chmod(stat.S_IRWXU)
    result = _shell(path, *commands)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "warning" not in result.stdout, result.stdout
    return path


def test_every_command_leaves_what_it_is_for(directory):
    for name in ("runs/my_arm/policies/best/policy.tflite", "my_arm.gif", "my_arm_bundle/MODEL_CARD.md"):
        assert (directory / name).is_file(), name


@pytest.mark.parametrize(
    "command",
    [
        "./bazelw run //tools:evaluate -- --policy=runs/my_arm --episodes=1",
        "./bazelw run //tools:inspect -- --policy=runs/my_arm --collect=16",
        "./bazelw run //tools:export -- --run_dir=runs/my_arm --output_dir=other",
    ],
)
def test_without_the_module_it_is_told_what_is_missing(directory, command):
    result = _shell(directory, "export PYTHONPATH=", command)
    assert result.returncode == 1
    message = (
        "error: environment 'gymnasium:my_arm:Arm-v0' can't be made: ModuleNotFoundError: No module named 'my_arm'"
    )
    assert result.stderr.splitlines()[-1].startswith(message)


def test_a_program_trains_on_its_own_suite(directory):
    start = (directory / "start").read_text().strip().replace("=$PWD python ", '=$PWD:$LIBRARIES "$PYTHON" ')
    short = "--gin_bindings='Experiment.num_env_steps = 200' --gin_bindings='Experiment.final_evaluation_sec = 1.0'"
    result = _shell(directory, f"{start} {short} --root_dir=runs/suite")
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((directory / "runs/suite/summary.json").read_text())
    assert summary["status"] == "completed" and summary["env_steps"] >= 200
    assert "arm:50" in (directory / "runs/suite/operative_config.gin").read_text()
