"""Tests of experiments.sweep_plan."""

import json
import pathlib

import pytest

from tfquarl.core import errors
from tfquarl.experiments import sweep_plan

_SWEEPS = pathlib.Path(sweep_plan.__file__).parents[2] / "configs" / "sweeps"
_FILES = ("configs/gin/experiments/dqn_cartpole_int8.gin",)


def test_cells_are_all_combinations_and_seeds():
    plan = sweep_plan.SweepPlan(
        "s", _FILES, grid={"A.x": ["1", "2"], "B.y": ["'u'"]}, variants=(("C.z = 3",),), seeds=(4, 5)
    )
    found = [(cell.bindings, cell.seed) for cell in plan.cells()]
    assert found == [
        (bindings, seed)
        for bindings in (("A.x = 1", "B.y = 'u'"), ("A.x = 2", "B.y = 'u'"), ("C.z = 3",))
        for seed in (4, 5)
    ]
    assert len({cell.name for cell in plan.cells()}) == 6


def test_without_grid_and_variants_there_is_one_run_a_seed():
    assert [cell.bindings for cell in sweep_plan.SweepPlan("s", _FILES, seeds=(1, 2)).cells()] == [(), ()]


def test_runs_of_a_changed_plan_have_other_names():
    first, other = sweep_plan.SweepPlan("s", _FILES), sweep_plan.SweepPlan("s", _FILES, ("A.x = 1",))
    assert first.cells()[0].name != other.cells()[0].name
    assert first.cells()[0].name == sweep_plan.SweepPlan("s", _FILES).cells()[0].name


@pytest.mark.parametrize(
    ("text", "expected"),
    [("A.x = 1 | 2", ("A.x", ["1", "2"])), ("A.x='a=b'|'c'", ("A.x", ["'a=b'", "'c'"]))],
    ids=["numbers", "text"],
)
def test_grid_flags(text: str, expected: tuple):
    assert sweep_plan.parse_grid(text) == expected


@pytest.mark.parametrize("text", ["A.x", "A.x = 1 |", "= 1"])
def test_grid_flags_of_another_form(text: str):
    with pytest.raises(errors.ConfigError, match="needs the form"):
        sweep_plan.parse_grid(text)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "s"}, "gin_files"),
        ({"name": "s", "gin_files": ["a"], "colour": 1}, "colour"),
        ({"name": "s", "gin_files": ["a"], "post_training_recipes": ["ptq_wi9_ai8"]}, "weights have 9 bits"),
        ([], "JSON object"),
    ],
    ids=["no files", "unknown field", "unknown recipe", "no object"],
)
def test_files_of_another_form(value: object, message: str, tmp_path: pathlib.Path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(value))
    with pytest.raises(errors.ConfigError, match=message):
        sweep_plan.read(path)


@pytest.mark.parametrize("path", sorted(_SWEEPS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_sweep_loads(path: pathlib.Path):
    plan = sweep_plan.read(path)
    assert plan.name == path.stem
    assert len(plan.seeds) == 3
    for cell in plan.cells()[:: len(plan.seeds)]:
        plan.check(cell)
