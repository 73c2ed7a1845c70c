"""Tests of experiments.sweep_plan."""

import dataclasses
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


def test_runs_are_named_by_what_distinguishes_them():
    one = sweep_plan.SweepPlan("s", _FILES, grid={"A.x": ["1", "2"]}, seeds=(4, 5))
    more = sweep_plan.SweepPlan("t", ("./" + _FILES[0],), grid={"A.x": ["2", "3"]}, seeds=(5, 6))
    names = [{cell.name for cell in plan.cells()} for plan in (one, more)]
    assert names[0] & names[1] == {one.cell(("A.x = 2",), 5).name}
    long = [one.cell((f"A.x = '{'a' * 100}{end}'",), 0).name for end in "bc"]
    assert long[0] != long[1] and long[0][:80] == long[1][:80]


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({}, set()),
        ({"gin_files": ("./" + _FILES[0],), "name": "t"}, set()),
        ({"seeds": (7, 8)}, set()),
        ({"grid": {"ConverterConfig.recipe": ["'float32'", "'qat_wi2_ai2'"]}}, set()),
        (
            {"grid": {"tfquarl.DqnBuilder.n_step": ["1", "5"]}, "variants": (("ConverterConfig.recipe = 'float16'",),)},
            set(),
        ),
        ({"bindings": ("Experiment.num_env_steps = 3_000",)}, {"Experiment.num_env_steps"}),
        ({"bindings": ("DqnBuilder.n_step = 3",)}, {"DqnBuilder.n_step"}),
        ({"bindings": ("Experiment.agent = @D4pgBuilder()",)}, {"Experiment.agent"}),
        ({"num_episodes": 3}, {"num_episodes"}),
        ({"post_training_recipes": ("float16",)}, {"post_training_recipes"}),
    ],
    ids=[
        *(
            "the same",
            "spelled differently",
            "other seeds",
            "other values",
            "another grid",
            "budget",
            "agent's parameter",
            "agent",
        ),
        *("episodes", "recipes after training"),
    ],
)
def test_settings_are_what_all_runs_share(changes: dict, differing: set[str]):
    grid = {"ConverterConfig.recipe": ["'float32'", "'qat_wi4_ai4'"]}
    plan = sweep_plan.SweepPlan("s", _FILES, grid=grid, seeds=(0, 1))
    other = dataclasses.replace(plan, **changes)
    first, second = plan.settings(plan.cells()), other.settings(other.cells())
    assert {name for name in first.keys() & second.keys() if first[name] != second[name]} == differing
    assert first["DqnBuilder.n_step"] == "10"
    assert not {"ConverterConfig.recipe", "Experiment.seed"} & first.keys()


@pytest.mark.parametrize(
    ("bindings", "grid", "expected"),
    [
        ((), {}, 0.2),
        (("CollectorConfig.report_interval_sec = 1.5",), {}, 1.5),
        ((), {"tfquarl.CollectorConfig.report_interval_sec": ["3.0"]}, 3.0),
    ],
    ids=["not bound", "bound for all", "bound by the grid"],
)
def test_collectors_report_often_unless_the_user_binds_it(bindings: tuple[str, ...], grid: dict, expected: float):
    plan = sweep_plan.SweepPlan("s", _FILES, bindings, grid)
    assert plan.load(plan.cells()[0]).experiment.collector.report_interval_sec == expected


def test_what_varies_by_a_macro_is_no_setting(tmp_path: pathlib.Path):
    path = tmp_path / "macro.gin"
    path.write_text(f"include '{_FILES[0]}'\nsteps = 10\nDqnBuilder.n_step = %steps\n")
    plan = sweep_plan.SweepPlan("s", (str(path),), grid={"steps": ["1", "5"]})
    assert "DqnBuilder.n_step" not in plan.settings(plan.cells())


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": {"Experiment.seed": ["1", "2"]}},
        {"bindings": ("tfquarl.Experiment.seed=3",)},
        {"variants": (("Experiment.seed = 3",),)},
    ],
    ids=["grid", "bindings", "variants"],
)
def test_a_seed_that_is_bound_is_refused(changes: dict):
    with pytest.raises(errors.ConfigError, match=r"binds '.*Experiment\.seed ?= ?\d'; leave it out and give --seeds"):
        sweep_plan.SweepPlan("s", _FILES, **changes).cells()


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
        ({"name": "s", "gin_files": ["a"], "seeds": [1, 1]}, r"has seeds = 1 \| 1, needs each once"),
        ({"name": "s", "gin_files": ["a"], "grid": {"A.x": ["1", "1"]}}, r"has A\.x = 1 \| 1, needs each once"),
        ({"name": "s", "gin_files": ["a"], "seeds": ["0"]}, r"has seeds = \('0',\), needs whole numbers"),
        ({"name": "s", "gin_files": ["a"], "seeds": [0.5]}, r"has seeds = \(0\.5,\), needs whole numbers"),
        ({"name": "s", "gin_files": ["a"], "seeds": 3}, "has seeds = 3, needs whole numbers"),
        ({"name": "s", "gin_files": "a.gin"}, r"has gin_files = 'a\.gin', needs a list of paths"),
        ({"name": "s", "gin_files": ["a"], "grid": {"A.x": [1]}}, "needs lists of values as text by parameter"),
        ({"name": "s", "gin_files": ["a"], "variants": ["A.x = 1"]}, "needs lists of bindings"),
        ({"name": "s", "gin_files": ["a"], "num_episodes": "9"}, "has num_episodes = '9', needs a whole number"),
        ([], "JSON object"),
    ],
    ids=[
        *(
            "no files",
            "unknown field",
            "unknown recipe",
            "a seed twice",
            "a value twice",
            "seeds as text",
            "half a seed",
        ),
        *(
            "seeds as a number",
            "files as text",
            "values as numbers",
            "variants of text",
            "episodes as text",
            "no object",
        ),
    ],
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
        plan.load(cell)
