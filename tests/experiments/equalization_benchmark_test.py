"""Tests of experiments.equalization_benchmark: a small archived policy whose units are of different sizes."""

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest

from tfquarl.converter import policy_converter
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.evaluator import evaluation
from tfquarl.experiments import benchmark_suites
from tfquarl.experiments import equalization_benchmark
from tfquarl.program import archive
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies


class _Verdict:
    """What the archive keeps of an evaluation."""

    def to_json(self) -> dict[str, Any]:
        return {"quantized": {"mean_return": 1.0}, "confirmed": True}


@pytest.fixture(scope="module", name="artifacts")
def _artifacts() -> list[records.PolicyArtifact]:
    """A policy that balances the pole, int8 and float; its two active units differ by 50 where nobody sees it."""
    policy = tiny_policies.cartpole_policy()
    sizes = np.float32([50, 1, 1, 1, 1, 1, 1, 1])
    variables = {
        **policy.variables,
        "dense_0/kernel": policy.variables["dense_0/kernel"] * sizes,
        "dense_1/kernel": policy.variables["dense_1/kernel"] / sizes[:, np.newaxis],
    }
    manifest = {"environment": policy.spec.to_json(), "architecture": policy.architecture.to_json(), "io": "float32"}
    artifacts = []
    for recipe in ("static_wi8_ai8", "float32"):
        converter = policy_converter.PolicyConverter(policy.architecture, recipe_lib.from_name(recipe))
        model = converter.convert(records.PolicySnapshot(3, 1, variables), policy.observations)
        artifacts.append(records.PolicyArtifact(3, 1, recipe, model, manifest))
    return artifacts


def _keep(path: pathlib.Path, artifacts: Sequence[records.PolicyArtifact]) -> str:
    archive.PolicyArchive(path).save(artifacts[0], artifacts[1], _Verdict())
    return str(path)


def test_equalized_model_is_the_better_one(artifacts: list[records.PolicyArtifact], tmp_path: pathlib.Path):
    config = equalization_benchmark.EqualizationConfig(
        (_keep(tmp_path, artifacts),), num_observations=64, num_episodes=2
    )
    rows = {row.metric: row for row in equalization_benchmark.run(config)}
    assert {row.case for row in rows.values()} == {f"{tmp_path} static_wi8_ai8"}
    assert list(rows) == [
        "return, float32",
        "mean error, as trained",
        "SQNR, as trained",
        "return, as trained",
        "mean error, equalized",
        "SQNR, equalized",
        "return, equalized",
    ]
    assert rows["SQNR, equalized"].value > rows["SQNR, as trained"].value + 6
    assert rows["mean error, equalized"].value < rows["mean error, as trained"].value / 2
    assert rows["return, equalized"].value == rows["return, float32"].value == 500


def test_rows_by_hand():
    earned = evaluation.ReturnEstimate(7.0, 6.0, float("nan"), 2, 10.0, (6.0, 8.0))
    rows = equalization_benchmark.make_rows("task", "equalized", {"mean error": 1.5, "SQNR": 20.0}, earned)
    assert [dataclasses.astuple(row) for row in rows] == [
        ("task", "mean error, equalized", 1.5, "%", None, None),
        ("task", "SQNR, equalized", 20.0, "dB", None, None),
        ("task", "return, equalized", 7.0, "", 6.0, None),
    ]


def test_equalized_layers_have_nothing_to_compare_with(artifacts: list[records.PolicyArtifact], tmp_path: pathlib.Path):
    done = [
        dataclasses.replace(artifact, manifest={**artifact.manifest, "preparations": ["equalize_layers"]})
        for artifact in artifacts
    ]
    with pytest.raises(errors.ConfigError, match=r"equalized already; train with ConverterConfig\.equalize_layers"):
        equalization_benchmark.run(equalization_benchmark.EqualizationConfig((_keep(tmp_path, done),)))


def test_without_its_float_policy_there_is_nothing_to_equalize(
    artifacts: list[records.PolicyArtifact], tmp_path: pathlib.Path
):
    path = _keep(tmp_path, artifacts)
    (tmp_path / "policies" / "3" / archive.REFERENCE_MODEL).unlink()
    with pytest.raises(errors.ConfigError, match="has no float policy of the same version"):
        equalization_benchmark.run(equalization_benchmark.EqualizationConfig((path,)))


@pytest.mark.parametrize("recipe", ["float32", "float16", "ptq_wi4_ai8"])
def test_recipe_that_does_not_round_to_int8_is_refused(recipe: str):
    with pytest.raises(errors.ConfigError, match=f"recipe '{recipe}' has nothing to equalize"):
        equalization_benchmark.EqualizationConfig(("runs/a",), (recipe,))


def test_suite_needs_policies():
    with pytest.raises(errors.ConfigError, match="needs --policies"):
        benchmark_suites.run("equalization", benchmark_suites.Choice())


def test_a_policy_that_is_not_there_is_named():
    with pytest.raises(errors.ConfigError, match="there is no 'runs/none'"):
        benchmark_suites.run("equalization", benchmark_suites.Choice(policies=["runs/none"]))
