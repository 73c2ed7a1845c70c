"""Tests of experiments.recipe_study: a small trained policy under several recipes."""

from collections.abc import Mapping
import math
import pathlib
from typing import Any

import numpy as np
import pytest

from tfquarl.converter import policy_converter
from tfquarl.core import records
from tfquarl.experiments import recipe_study
from tfquarl.program import archive
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies


class _Verdict:
    """What the archive keeps of an evaluation."""

    def to_json(self) -> dict[str, Any]:
        return {"quantized": {"mean_return": 1.0}, "confirmed": True}


def _keep(path: pathlib.Path, variables: Mapping[str, np.ndarray]) -> pathlib.Path:
    """A run directory with a policy of CartPole."""
    policy = tiny_policies.cartpole_policy()
    manifest = {"environment": policy.spec.to_json(), "architecture": policy.architecture.to_json(), "io": "float32"}
    artifacts = []
    for recipe in ("static_wi8_ai8", "float32"):
        converter = policy_converter.PolicyConverter(policy.architecture, recipe_lib.from_name(recipe))
        model = converter.convert(records.PolicySnapshot(3, 1, variables), policy.observations)
        artifacts.append(records.PolicyArtifact(3, 1, recipe, model, manifest))
    archive.PolicyArchive(path).save(artifacts[0], artifacts[1], _Verdict())
    return path


@pytest.fixture(scope="module", name="run_dir")
def _run_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A run directory with a policy that balances the pole for ever."""
    return _keep(tmp_path_factory.mktemp("run"), tiny_policies.cartpole_policy().variables)


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


def test_what_rounds_to_int8_is_prepared_as_in_a_run_and_few_bits_are_not(tmp_path: pathlib.Path):
    variables = dict(tiny_policies.cartpole_policy().variables)
    sizes = np.float32([50, 1, 1, 1, 1, 1, 1, 1])  # two active units that differ by 50 where nobody sees it
    variables["dense_0/kernel"] = variables["dense_0/kernel"] * sizes
    variables["dense_1/kernel"] = variables["dense_1/kernel"] / sizes[:, np.newaxis]
    # Without preparation both recipes are the same arithmetic.
    rows = recipe_study.study(_keep(tmp_path, variables), ["static_wi8_ai8", "ptq_wi8_ai8"], 1, 256, 0)
    prepared, plain = (row["q_error_mean_share"] for row in rows[-2:])
    assert prepared < plain / 2


def test_weight_spreads_by_hand(run_dir: pathlib.Path):
    first = recipe_study.weight_spreads(run_dir)[0]
    assert (first["layer"], first["largest"]) == ("dense_0", 2)
    assert sum(first["counts"]) == 4 * 8
    assert first["largest_in_deviations"] == pytest.approx(2 / first["deviation"])


def test_what_few_bits_leave_of_weights_by_hand(run_dir: pathlib.Path):
    # Two units of 0.1, 0.3, 2 and 1, up to their signs. With 2 bits the step is 2 and only the 2 is left; with 3 it is 2 / 3, and 1 becomes
    # 4 / 3 (1.5 steps, to the even number).
    ratios = recipe_study.weight_spreads(run_dir)[0]["sqnr_db"]
    assert list(ratios) == ["2", "3", "4", "5", "6", "7", "8"]
    assert ratios["2"] == pytest.approx(10 * math.log10(5.1 / 1.1), abs=1e-4)
    assert ratios["3"] == pytest.approx(10 * math.log10(5.1 / (0.01 + 0.09 + 1 / 9)), abs=1e-4)
