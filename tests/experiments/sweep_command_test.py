"""Tests of tfquarl/experiments/sweep_command.py."""

import pathlib
import shlex

import pytest

from tfquarl.experiments import sweep_command

_HERE = pathlib.Path("/home/somebody/work")


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("--seeds=0,1", "--seeds=0,1"),
        ("--grid=A.x = 'a' | 'b'", "\"--grid=A.x = 'a' | 'b'\""),
        ("--grid=A.x=1|2", '"--grid=A.x=1|2"'),
        ('--grid=A.x = "a"', "'--grid=A.x = \"a\"'"),
        ("--root_dir=sweeps/a", "--root_dir=sweeps/a"),
        ("--root_dir=/home/somebody/work/sweeps/a", "--root_dir=sweeps/a"),
        ("--output=/elsewhere/pages/a", "--output=a"),
        ("--gin_file=/home/somebody/work/my file.gin", '"--gin_file=my file.gin"'),
        ("--gin_bindings=Experiment.key_file = '/k'", "\"--gin_bindings=Experiment.key_file = '/k'\""),
    ],
    ids=[
        "plain",
        "spaces",
        "a bar",
        "double quotes",
        "relative",
        "below",
        "elsewhere",
        "a path with spaces",
        "no path",
    ],
)
def test_arguments_are_shown_as_they_are_typed(argument: str, shown: str):
    text = sweep_command.line([argument], _HERE)
    assert text == f"./bazelw run //tools:sweep -- {shown}"
    assert len(shlex.split(text)) == 5
