"""Tests of `tfquarl.program.command_line`, with small programs."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import os
from absl import flags
from tfquarl.core import errors
from tfquarl.program import command_line

_COUNT = flags.DEFINE_integer("count", 1, "A number.")
flags.DEFINE_string("place", None, "A text.")
flags.DEFINE_string("note", "", "A text that is empty by default.")
flags.DEFINE_list("names", [], "Texts.")
flags.DEFINE_multi_string("rule", [], "A text, several times.")

def main():
    {body}

command_line.run(main)
"""


def _run(body, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(body=body), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("body", "arguments", "exit_code", "error"),
    [
        pytest.param("pass", [], 0, "", id="ends_well"),
        pytest.param("return _COUNT.value", ["--count=7"], 7, "", id="its_own_code"),
        pytest.param("raise errors.TaskError('a\\nb')", [], 1, "error: a b\n", id="error_in_one_line"),
        pytest.param("raise KeyboardInterrupt", [], 130, "error: interrupted\n", id="ctrl_c"),
        pytest.param("pass", ["--cuont=7"], 1, "error: Unknown command line flag 'cuont'", id="unknown_flag"),
        pytest.param("pass", ["--count=x"], 1, "error: flag --count=x: invalid literal", id="value"),
        pytest.param("pass", ["--place="], 1, "error: flag --place is empty; give a value, or leave it", id="empty"),
        pytest.param("pass", ["--place", " "], 1, "error: flag --place is empty", id="blank"),
        pytest.param("pass", ["--note="], 1, "error: flag --note is empty", id="empty_as_by_default"),
        pytest.param("pass", ["--names="], 1, "error: flag --names is empty", id="empty_list"),
        pytest.param("pass", ["--names=a,,b"], 1, "error: flag --names is empty", id="empty_in_a_list"),
        pytest.param("pass", ["--rule=a", "--rule="], 1, "error: flag --rule is empty", id="one_of_several_empty"),
        pytest.param("pass", ["--place=a", "--names=a,b", "--rule=a", "--count=0"], 0, "", id="not_empty"),
        pytest.param("pass", ["seven"], 1, "error: unexpected argument 'seven'", id="argument"),
    ],
)
def test_how_a_program_ends(body, arguments, exit_code, error):
    result = _run(body, *arguments)
    assert result.returncode == exit_code
    assert result.stderr.startswith(error) and result.stderr.count("\n") == bool(error)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("body", "redirection", "exit_code", "error"),
    [
        pytest.param("print(7)", ">&-", 0, "", id="closed"),
        pytest.param("print(7)", ">/dev/full", 1, "error: writing to stdout failed: No space left", id="full"),
        pytest.param("print(7); raise errors.TaskError('a')", ">/dev/full", 1, "error: ", id="full_beside_an_error"),
        pytest.param("os.system('echo 7')", ">&-", 0, "", id="closed_for_what_it_starts"),
        pytest.param("raise errors.TaskError('a')", "2>&-", 1, "", id="closed_stderr"),
        pytest.param(
            "return os.open('/dev/null', os.O_RDONLY) < 3", "<&- >&- 2>&-", 0, "", id="no_file_takes_their_place"
        ),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_stdout_that_takes_nothing(unbuffered, body, redirection, exit_code, error):
    result = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, _PROGRAM.format(body=body)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path]), "PYTHONUNBUFFERED": unbuffered},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == exit_code
    assert result.stderr.startswith(error) and result.stderr.count("\n") == bool(error)


@pytest.mark.parametrize("flag", ["--help", "--helpshort", "--helpfull"])
def test_help_is_no_mistake(flag):
    result = _run("return 7", flag)
    assert (result.returncode, result.stderr) == (0, "")
    assert "A number." in result.stdout


def test_a_defect_shows_its_traceback():
    result = _run("raise ZeroDivisionError")
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "ZeroDivisionError" in result.stderr


def test_paths_are_the_users_even_where_bazel_starts_the_program(tmp_path):
    result = _run("print(os.getcwd())", BUILD_WORKING_DIRECTORY=str(tmp_path))
    assert result.stdout == f"{tmp_path}\n"
