"""Tests of tfquarl/experiments/typed_command.py."""

import pathlib
import shlex

import pytest

from tfquarl.experiments import typed_command

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
    text = typed_command.line("sweep", typed_command.without_machine([argument], _HERE))
    assert text == f"./bazelw run //tools:sweep -- {shown}"
    assert len(shlex.split(text)) == 5


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["--seed=1", "--root_dir=a"], ["--seed=1"]),
        (["--root_dir", "a", "--seed", "1"], ["--seed", "1"]),
        (["-root_dir", "a", "-output=b"], []),
        (
            ["--root_dir_of_others=a", "--gin_bindings=A.x = '--root_dir'"],
            ["--root_dir_of_others=a", "--gin_bindings=A.x = '--root_dir'"],
        ),
        (["--seed=1", "--root_dir"], ["--seed=1"]),
    ],
    ids=["one word", "two words", "one dash", "others", "no value"],
)
def test_flags_are_left_out_with_their_values(typed: list[str], kept: list[str]):
    assert typed_command.without(typed, ["root_dir", "output"]) == kept
