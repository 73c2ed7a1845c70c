"""Tests of experiments.sweep_table and of the series of its plot."""

from typing import Any

import pytest

from tfquarl.experiments import recipe_study
from tfquarl.experiments import sweep_report
from tfquarl.experiments import sweep_table


def _row(kind: str, recipe: str, value: float) -> dict[str, Any]:
    return {"kind": kind, "recipe": recipe, "mean_return": value, "low": value, "high": value, "episodes": 2}


def _result(recipe: str, seed: int, rows: list[dict[str, Any]], *others: str) -> dict[str, Any]:
    bindings = [f"ConverterConfig.recipe = '{recipe}'", *others]
    summary = {"env_steps": 10, "train_steps": 5, "wall_time_sec": 1.0}
    return {"recipe": recipe, "cell": {"bindings": bindings, "seed": seed}, "rows": rows, "summary": summary}


_RESULTS = [
    _result(
        "float32",
        seed,
        [
            _row("float", "float32", value),
            _row("trained", "float32", value),
            _row("post-training", "ptq_wi2_ai2", 0.5 * value),
        ],
    )
    for seed, value in ((0, 100.0), (1, 200.0))
] + [
    _result("qat_wi2_ai2", seed, [_row("float", "float32", 7.0), _row("trained", "qat_wi2_ai2", 150.0)])
    for seed in (0, 1)
]


@pytest.mark.parametrize(
    ("exact", "got", "expected"),
    [(100.0, 90.0, 0.1), (-100.0, -90.0, -0.1), (100.0, 120.0, -0.2), (0.0, 1.0, None)],
    ids=["less", "negative returns", "more", "float earns nothing"],
)
def test_relative_error_by_hand(exact: float, got: float, expected: float | None):
    assert recipe_study.relative_error(exact, got) == (None if expected is None else pytest.approx(expected))


def test_each_policy_is_compared_with_the_float_run_of_its_seed():
    found = {(row["kind"], row["recipe"], row["seed"]): row["relative_error"] for row in sweep_table.rows_of(_RESULTS)}
    assert found == {
        ("float", "float32", 0): 0.0,
        ("float", "float32", 1): 0.0,
        ("post-training", "ptq_wi2_ai2", 0): 0.5,
        ("post-training", "ptq_wi2_ai2", 1): 0.5,
        ("trained", "qat_wi2_ai2", 0): -0.5,
        ("trained", "qat_wi2_ai2", 1): 0.25,
    }


def test_other_bindings_keep_runs_apart():
    results = [
        *_RESULTS,
        _result("qat_wi2_ai2", 0, [_row("float", "float32", 300.0), _row("trained", "qat_wi2_ai2", 150.0)], "A.x = 1"),
    ]
    (row,) = [row for row in sweep_table.rows_of(results) if "A.x" in row["bindings"]]
    assert (row["float_return"], row["relative_error"]) == (300.0, 0.5)


def test_means_are_over_seeds():
    means = {mean["recipe"]: mean for mean in sweep_table.means_of(sweep_table.rows_of(_RESULTS))}
    assert (means["float32"]["return"], means["float32"]["seeds"]) == (150.0, 2)
    assert means["qat_wi2_ai2"]["relative_error"] == pytest.approx(-0.125)


def test_csv_has_a_row_for_each_policy():
    lines = sweep_table.to_csv(sweep_table.rows_of(_RESULTS)).splitlines()
    assert lines[0].startswith("bindings,seed,kind,recipe,mean_return")
    assert len(lines) == 1 + 6


def test_lines_of_the_plot():
    series = sweep_report.bit_series(sweep_table.means_of(sweep_table.rows_of(_RESULTS)))
    assert {name: [point[:2] for point in points] for name, points in series.items()} == {
        "float and other recipes": [(32.0, 150.0)],
        "after training": [(2.0, 75.0)],
        "trained for it": [(2.0, 150.0)],
    }
