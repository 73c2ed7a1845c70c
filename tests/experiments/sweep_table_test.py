"""Tests of experiments.sweep_table and of the series of its plot."""

import json
import pathlib
import re
from typing import Any

import pytest

from tfquarl.experiments import recipe_study
from tfquarl.experiments import sweep_plan
from tfquarl.experiments import sweep_report
from tfquarl.experiments import sweep_table


def _row(kind: str, recipe: str, value: float) -> dict[str, Any]:
    returns = {"mean_return": value, "low": value, "high": value, "episodes": 2}
    return {"kind": kind, "recipe": recipe, **returns, "q_error_mean_share": _ERRORS[recipe]}


def _result(recipe: str, seed: int, rows: list[dict[str, Any]], *others: str) -> dict[str, Any]:
    bindings = [f"ConverterConfig.recipe = '{recipe}'", *others]
    summary = {"env_steps": 10, "train_steps": 5, "wall_time_sec": 1.0}
    cell = {"bindings": bindings, "seed": seed}
    origin = {"machine": {"cores": 2, "cpu": "a processor", "flags": ["avx2"]}, "commit": "c0ffee"}
    return {"recipe": recipe, "cell": cell, "rows": rows, "summary": summary, "weights": _weights(seed), **origin}


_PLAN = sweep_plan.SweepPlan("bits", ("a.gin",), (), {}, (), (0, 1), ("ptq_wi2_ai2",), 2)


def _weights(seed: int) -> list[dict[str, Any]]:
    """A layer whose weights are as wide as the seed tells, and one of zeros, which has no noise."""
    shape = {"counts": [1, 3], "edges": [-1.0, 0.0, 1.0]}
    width = 2.0 + seed
    return [
        {"layer": "dense_0", "largest": 1.0, "deviation": 1 / width, "largest_in_deviations": width, **shape}
        | {"sqnr_db": {str(bits): 6.0 * bits - width for bits in range(2, 9)}},
        {"layer": "head", "largest": 0.0, "deviation": 0.0, "largest_in_deviations": None, **shape}
        | {"sqnr_db": {str(bits): None for bits in range(2, 9)}},
    ]


_ERRORS = {"float32": 0.0, "ptq_wi2_ai2": 0.5, "qat_wi2_ai2": 0.25}
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


_OTHER = _result("qat_wi2_ai2", 0, [_row("float", "float32", 300.0), _row("trained", "qat_wi2_ai2", 150.0)], "A.x = 1")


@pytest.mark.parametrize(
    ("results", "errors", "cell", "sentence"),
    [
        (_RESULTS, [-0.5, 0.25], "-12.5 %", "against the float run of its seed."),
        (_RESULTS[1:], [None, 0.25], "+25.0 % (1 of 2)", "against the float run of its seed."),
        (_RESULTS[2:], [(7 - 150) / 7] * 2, "-2042.9 %", "against its own too."),
        (
            [*_RESULTS, _OTHER],
            [-0.5, 0.25, 0.5],
            "-12.5 %",
            "against the float run of its seed, or its own where no float run has its other bindings.",
        ),
    ],
    ids=["all float runs", "one is missing", "none", "one for other bindings"],
)
def test_float_runs_and_own_float_weights_are_not_mixed(results, errors, cell: str, sentence: str, tmp_path):
    rows = [row for row in sweep_table.rows_of(results) if row["recipe"] == "qat_wi2_ai2"]
    assert [row["relative_error"] for row in rows] == [pytest.approx(error) for error in errors]
    assert [row["float_return"] is None for row in rows] == [error is None for error in errors]
    text = sweep_report.write(_PLAN, results, tmp_path / "page", ["the command"])
    assert f"\nthat was trained quantized {sentence}\n" in text
    line = next(line for line in text.splitlines() if line.startswith("| trained "))
    assert f"| {cell} |" in line


def test_means_are_over_seeds():
    means = {mean["recipe"]: mean for mean in sweep_table.means_of(sweep_table.rows_of(_RESULTS))}
    assert (means["float32"]["return"], means["float32"]["seeds"]) == (150.0, 2)
    assert means["qat_wi2_ai2"]["relative_error"] == pytest.approx(-0.125)


def _with_steps(result: dict[str, Any], env_steps: int, train_steps: int) -> dict[str, Any]:
    return {**result, "summary": {**result["summary"], "env_steps": env_steps, "train_steps": train_steps}}


@pytest.mark.parametrize(
    ("float_steps", "quantized_steps", "expected"),
    [
        ((8736, 100), (4672, 104), [r"different env steps, .*: from 4,672 \(qat_wi2_ai2\) to 8,736 \(float32\)\."]),
        ((4200, 832), (4000, 1792), [r"different train steps, .*: from 832 \(float32\) to 1,792 \(qat_wi2_ai2\)\."]),
        ((1000, 100), (2000, 200), ["env steps", "train steps"]),
        ((4200, 200), (4000, 200), []),
    ],
    ids=["env steps", "train steps", "both", "within a few percent"],
)
def test_steps_that_differ_are_told(float_steps, quantized_steps, expected: list[str], tmp_path: pathlib.Path):
    results = [
        _with_steps(result, *(float_steps if result["recipe"] == "float32" else quantized_steps)) for result in _RESULTS
    ]
    remarks = sweep_table.step_remarks(sweep_table.means_of(sweep_table.rows_of(results)))
    assert len(remarks) == len(expected)
    assert all(re.search(pattern, remark) for pattern, remark in zip(expected, remarks))
    assert sweep_table.write(tmp_path, results).endswith("\n".join(["\n", *remarks]) if remarks else "\n")


def test_csv_has_a_row_for_each_policy():
    lines = sweep_table.to_csv(sweep_table.rows_of(_RESULTS)).splitlines()
    assert lines[0].startswith("bindings,seed,kind,recipe,mean_return")
    assert len(lines) == 1 + 6


def test_lines_of_the_plot():
    series = sweep_report.bit_series(sweep_table.means_of(sweep_table.rows_of(_RESULTS)))
    assert series == {  # bits, mean, least and greatest of the seeds
        "float and other recipes": [(32.0, 150.0, 100.0, 200.0)],
        "after training": [(2.0, 75.0, 50.0, 100.0)],
        "trained for it": [(2.0, 150.0, 150.0, 150.0)],
    }


def test_policies_of_different_bindings_are_on_different_lines_and_rows(tmp_path: pathlib.Path):
    one, *_ = _RESULTS
    results = [
        {**one, "cell": {**one["cell"], "bindings": [*one["cell"]["bindings"], f"A.x = {x}", "B.y = 3"]}}
        for x in (1, 2)
    ]
    series = sweep_report.bit_series(sweep_table.means_of(sweep_table.rows_of(results)))
    assert {name: len(points) for name, points in series.items()} == {
        f"{line}, A.x = {x}": 1 for line in ("float and other recipes", "after training") for x in (1, 2)
    }
    text = sweep_report.write(_PLAN, results, tmp_path / "page", ["the command"])
    assert "| bindings | seed | layer | largest |" in text
    for x in (1, 2):
        assert f"| A.x = {x} | 0 | dense_0 | 1.000 | 0.5000 | 2.000 | 46.00 |" in text
    weights = json.loads((tmp_path / "page.json").read_text())["weights"]
    assert [row["bindings"] for row in weights] == ["A.x = 1", "A.x = 1", "A.x = 2", "A.x = 2"]


def test_errors_are_a_series_too():
    means = sweep_table.means_of(sweep_table.rows_of(_RESULTS))
    series = sweep_report.bit_series(means, "q_error_mean_share")
    assert series["after training"] == [(2.0, 0.5, 0.5, 0.5)]
    assert series["trained for it"] == [(2.0, 0.25, 0.25, 0.25)]


def test_the_data_has_what_the_table_of_weights_tells(tmp_path: pathlib.Path):
    sweep_report.write(_PLAN, _RESULTS, tmp_path / "bits", ["the command"])
    weights = json.loads((tmp_path / "bits.json").read_text())["weights"]
    assert [(row["seed"], row["layer"]) for row in weights] == [
        (seed, name) for seed in (0, 1) for name in ("dense_0", "head")
    ]
    assert (weights[2]["largest_in_deviations"], weights[2]["sqnr_db"]["4"]) == (3.0, 21.0)


def test_every_machine_and_commit_is_told(tmp_path: pathlib.Path):
    other = {"machine": {"cores": 64, "cpu": "another", "flags": []}, "commit": None}
    text = sweep_report.write(_PLAN, [_RESULTS[0], {**_RESULTS[1], **other}], tmp_path / "page", ["the command"])
    assert "2 runs on 2 cores (a processor, avx2) and 64 cores (another), seeds 0, 1. " in text
    assert "\nCommand, at commit c0ffee, unknown:\n" in text


def test_the_page_tells_of_weights_and_shows_four_plots(tmp_path: pathlib.Path):
    (tmp_path / "pages").mkdir()
    text = sweep_report.write(_PLAN, _RESULTS, tmp_path / "pages" / "bits", ["the command", "another"])
    assert "\n    the command\n    another\n" in text
    shown = re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)
    assert shown == ["bits_bits.png", "bits_errors.png", "bits_weights.png", "bits_ranges.png"]
    assert {path.name for path in (tmp_path / "pages").iterdir()} == {*shown, "bits.md", "bits.csv", "bits.json"}
    # Seeds 0 and 1: largest, deviation, both as a ratio, then 8, 6, 4 and 3 bits.
    assert re.findall(r"\| +dense_0 .*", text) == [
        "| dense_0 | 1.000 | 0.5000 | 2.000 | 46.00 | 34.00 | 22.00 | 16.00 |",
        "| dense_0 | 1.000 | 0.3333 | 3.000 | 45.00 | 33.00 | 21.00 | 15.00 |",
    ]
