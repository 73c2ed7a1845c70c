"""Tests of experiments.sweep_runner and sweep_search, with a cell's process that does not train."""

from collections.abc import Callable
import pathlib
import sys

import pytest

from tfquarl.core import errors
from tfquarl.experiments import sweep_cell
from tfquarl.experiments import sweep_plan
from tfquarl.experiments import sweep_runner
from tfquarl.experiments import sweep_search
from tfquarl.metrics import return_text
from tfquarl.program import run_directory

_ROW = "{'kind': 'trained', 'recipe': 'float32', 'mean_return': value, 'low': 0, 'high': 0, 'episodes': 1}"
_PROCESS = f"""
import json, pathlib, sys
directory = pathlib.Path(sys.argv[-1])
cell = json.loads((directory / "cell.json").read_text())["cell"]
(directory.parent / "started.txt").open("a").write(cell["name"] + "\\n")
bindings = dict(binding.split(" = ") for binding in cell["bindings"])
value = float(bindings.get("A.x", 0))
if value == 13:
    sys.exit(3)
(directory / "result.json").write_text(json.dumps({{"cell": cell, "recipe": "float32", "rows": [{_ROW}]}}))
"""


_PLAN = sweep_plan.SweepPlan("s", ("x.gin",), grid={"A.x": ["1", "13", "2"]}, seeds=(0,))


def _runner(directory: pathlib.Path, report: Callable[[str], None], num_parallel: int = 1) -> sweep_runner.SweepRunner:
    return sweep_runner.SweepRunner(_PLAN, directory, num_parallel, report, command=[sys.executable, "-c", _PROCESS])


def _started(directory: pathlib.Path) -> list[str]:
    return (directory / "started.txt").read_text().split()


@pytest.mark.parametrize("num_parallel", [1, 2])
def test_runs_all_and_tells_which_failed(tmp_path: pathlib.Path, num_parallel: int):
    lines: list[str] = []
    runner = _runner(tmp_path, lines.append, num_parallel)
    results = runner.run(_PLAN.cells())
    assert [result["cell"]["bindings"] for result in results] == [["A.x = 1"], ["A.x = 2"]]
    assert runner.failed == [_PLAN.cells()[1].name]
    assert any(line.startswith("failed") and "exit code 3" in line for line in lines)


def test_goes_on_where_it_stopped(tmp_path: pathlib.Path):
    cells = _PLAN.cells()
    for chosen in (cells[:1], cells):
        _runner(tmp_path, lambda line: None).run(chosen)
    assert _started(tmp_path) == [cell.name for cell in cells]


def test_a_search_finds_the_best_and_begun_again_runs_nothing(tmp_path: pathlib.Path):
    search_plan = sweep_search.SearchPlan({"A.x": "float(0, 10)"}, 8)
    values = []
    for _ in range(2):
        lines: list[str] = []
        runner = _runner(tmp_path, lines.append)
        results = sweep_search.search(_PLAN, search_plan, runner, lines.append)
        values.append([result["rows"][0]["mean_return"] for result in results])
        assert f"best {return_text.of(max(values[-1]))}" in lines[-1]
    assert values[0] == values[1]
    assert len(_started(tmp_path)) == 8


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("float(0.5, 1)", "FloatDistribution"),
        ("logint(1, 64)", "IntDistribution"),
        ("'a' | 'b'", "CategoricalDistribution"),
    ],
)
def test_search_spaces(text: str, name: str):
    (distribution,) = sweep_search.SearchPlan({"A.x": text}, 1).distributions().values()
    assert type(distribution).__name__ == name


@pytest.mark.parametrize("text", ["float(2, 1)", "int(a, b)", "1 | ", "foo(1e-4, 1e-2)", "1 | log(2, 3)", "float(1)"])
def test_search_spaces_of_another_form(text: str):
    with pytest.raises(errors.ConfigError, match=r"--search 'A\.x"):
        sweep_search.SearchPlan({"A.x": text}, 1).distributions()


def test_a_combination_that_is_tried_twice_counts_once(tmp_path: pathlib.Path):
    results = sweep_search.search(
        _PLAN, sweep_search.SearchPlan({"A.x": "1 | 2"}, 6), _runner(tmp_path, lambda line: None), lambda line: None
    )
    assert sorted(result["cell"]["bindings"][0] for result in results) == ["A.x = 1", "A.x = 2"]


def test_samples_of_a_search_have_every_choice_and_both_ends():
    search_plan = sweep_search.SearchPlan({"A.x": "float(0.5, 2)", "B.y": "'a' | 'b' | (1, 2)"}, 9)
    assert [cell.bindings for cell in search_plan.samples(_PLAN)] == [
        ("A.x = 0.5", "B.y = 'a'"),
        ("A.x = 2.0", "B.y = 'b'"),
        ("A.x = 0.5", "B.y = (1, 2)"),
    ]


def test_results_of_earlier_commands_are_found(tmp_path: pathlib.Path):
    cells = _PLAN.cells()
    _runner(tmp_path, lambda line: None).run(cells)
    (only,) = _runner(tmp_path, lambda line: None).run(cells[2:])
    (other,) = sweep_cell.read_others(tmp_path, [only])
    assert other["cell"]["name"] == cells[0].name


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: pathlib.Path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.StorageError, match=r"making .*file/"):
        _runner(tmp_path / "file", lambda line: None).run(_PLAN.cells())


def test_a_run_that_an_earlier_command_left_behind_is_left_alone(tmp_path: pathlib.Path):
    (cell, *_) = _PLAN.cells()
    running = run_directory.RunDirectory(tmp_path / cell.name / "run")
    running.create()
    with running.lock(), pytest.raises(errors.ConfigError, match=r"/run is in use by the run of process"):
        _runner(tmp_path, lambda line: None).run([cell])
    assert running.checkpoints.is_dir()


def test_no_runs_at_once_is_refused(tmp_path: pathlib.Path):
    with pytest.raises(errors.ConfigError, match="0 runs at once"):
        sweep_runner.SweepRunner(_PLAN, tmp_path, 0, lambda line: None)
