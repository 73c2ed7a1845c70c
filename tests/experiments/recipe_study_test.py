"""Tests of experiments.recipe_study: a small trained policy under several recipes."""

import pathlib

import pytest

from tests.tools import tiny_runs
from tfquarl.experiments import recipe_study
from tfquarl.testing import tiny_policies


@pytest.fixture(scope="module", name="run_dir")
def _run_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("run")
    tiny_runs.write_run(tiny_policies.cartpole_policy(), path)
    return path


def test_rows_tell_returns_errors_and_sizes(run_dir: pathlib.Path):
    rows = recipe_study.study(run_dir, ["float16", "ptq_wi8_ai8", "ptq_wi2_ai2_ii2_oi2"], 2, 64, 0)
    found = {(row["kind"], row["recipe"]): row for row in rows}
    assert list(found) == [
        ("float", "float32"),
        ("trained", "static_wi8_ai8"),
        ("post-training", "float16"),
        ("post-training", "ptq_wi8_ai8"),
        ("post-training", "ptq_wi2_ai2_ii2_oi2"),
    ]
    exact, low = found["float", "float32"], found["post-training", "ptq_wi2_ai2_ii2_oi2"]
    assert (exact["mean_return"], exact["relative_error"], exact["episodes"]) == (500, 0, 2)
    assert found["post-training", "ptq_wi8_ai8"]["mean_return"] > 400
    assert low["q_error_mean_share"] > found["post-training", "ptq_wi8_ai8"]["q_error_mean_share"]
    assert low["relative_error"] == pytest.approx((500 - low["mean_return"]) / 500)
    # Kernels of 4 x 8, 8 x 8 and 8 x 2 weights at 2 bits, biases of 18 units at 4 bytes.
    assert low["packed_bytes"] == (32 + 64 + 16) * 2 // 8 + 18 * 4


def test_weight_spreads_by_hand(run_dir: pathlib.Path):
    first = recipe_study.weight_spreads(run_dir)[0]
    assert (first["layer"], first["largest"]) == ("dense_0", 2)
    assert sum(first["counts"]) == 4 * 8
    assert first["largest_in_deviations"] == pytest.approx(2 / first["deviation"])
