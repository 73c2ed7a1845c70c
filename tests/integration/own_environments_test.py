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


# In the document's order; the commands that start a program are files too.
_FILES = ("my_arm.py", "my_arm.gin", "my_push.py", "my_push.gin", "my_train.py", "start_arm")
_FILES += ("my_slide.py", "my_slide_train.py", "my_slide.gin", "start_slide")
_SHORT = "--gin_bindings='Experiment.num_env_steps = 200' --gin_bindings='Experiment.final_evaluation_sec = 1.0'"


def _files(text):
    """The document's files by name."""
    blocks = re.findall(r"^```(?:python)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(zip(_FILES, blocks, strict=True))


def _commands(text, start, end):
    """The commands of a part of the document."""
    return re.findall(r"^    (.*)$", text[text.index(start) : text.index(end)], re.MULTILINE)


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
    """With the document's files in it, and all of its example's commands done."""
    path, text = tmp_path_factory.mktemp("own"), _DOCUMENT.read_text()
    for name, content in _files(text).items():
        (path / name).write_text(content)
    (path / "bazelw").write_text(_BAZELW)
    (path / "bazelw").chmod(stat.S_IRWXU)
    result = _shell(path, *_commands(text, "And all that", "## Name and module"))
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


def _check_run(run_dir, result, task):
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["status"] == "completed" and summary["env_steps"] >= 200
    assert task in (run_dir / "operative_config.gin").read_text()


@pytest.mark.parametrize(("name", "task"), [("arm", "arm:50"), ("slide", "slide:2.0")])
def test_a_program_trains_on_its_own_suite(directory, name, task):
    start = (directory / f"start_{name}").read_text().strip().replace("=$PWD python ", '=$PWD:$LIBRARIES "$PYTHON" ')
    result = _shell(directory, f"{start} {_SHORT} --root_dir=runs/{name}")
    _check_run(directory / "runs" / name, result, task)


def test_continuous_actions_are_trained_on(directory):
    (command,) = _commands(_DOCUMENT.read_text(), "They are used as above", "## Time limit")
    result = _shell(directory, "export PYTHONPATH=$PWD", f"{command} {_SHORT}")
    _check_run(directory / "runs/my_push", result, "gymnasium:my_push:Push-v0")
