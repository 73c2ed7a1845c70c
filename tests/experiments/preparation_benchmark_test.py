"""Tests of experiments.preparation_benchmark: a small run whose policy loses much of what preparations save."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest

from tfquarl.agents import agent_trainer
from tfquarl.converter import policy_converter
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.evaluator import evaluation
from tfquarl.experiments import benchmark_suites
from tfquarl.experiments import preparation_benchmark
from tfquarl.experiments import trained_weights
from tfquarl.learner import checkpointing
from tfquarl.program import archive
from tfquarl.program import gin_loading
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies

_CONFIG = "include 'configs/gin/experiments/dqn_cartpole_int8.gin'\nDqnBuilder.hidden_sizes = (8, 8)\n"


class _Verdict:
    """What the archive keeps of an evaluation."""

    def to_json(self) -> dict[str, Any]:
        return {"quantized": {"mean_return": 1.0}, "confirmed": True}


def _variables() -> dict[str, np.ndarray]:
    """Of a policy that balances the pole; two active units differ by 50 where nobody sees it."""
    variables = dict(tiny_policies.cartpole_policy().variables)
    sizes = np.float32([50, 1, 1, 1, 1, 1, 1, 1])
    variables["dense_0/kernel"] = variables["dense_0/kernel"] * sizes
    variables["dense_1/kernel"] = variables["dense_1/kernel"] / sizes[:, np.newaxis]
    return variables


def _keep_policies(path: pathlib.Path) -> None:
    policy = tiny_policies.cartpole_policy()
    manifest = {"environment": policy.spec.to_json(), "architecture": policy.architecture.to_json(), "io": "float32"}
    converter = policy_converter.PolicyConverter(policy.architecture, recipe_lib.float32())
    model = converter.convert(records.PolicySnapshot(3, 1, _variables()), policy.observations)
    artifact = records.PolicyArtifact(3, 1, "float32", model, manifest)
    archive.PolicyArchive(path).save(artifact, artifact, _Verdict())


def _keep_checkpoint(path: pathlib.Path) -> None:
    builder = gin_loading.load([str(path / "operative_config.gin")]).experiment.agent
    trainer = agent_trainer.AgentTrainer(builder, tiny_policies.cartpole_policy().spec)
    for name, value in _variables().items():
        trainer.policy_variables[name].assign(value)
    shapes = checkpointing.variable_shapes(trainer.agent)
    checkpointing.Checkpointing(path / "checkpoints", {"agent": trainer.agent}, shapes).save(7)


@pytest.fixture(scope="module", name="run_dir")
def _run_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("run")
    (path / "operative_config.gin").write_text(_CONFIG)
    _keep_policies(path)
    _keep_checkpoint(path)
    return path


def test_models_are_the_better_the_more_is_done(run_dir: pathlib.Path):
    config = preparation_benchmark.PreparationConfig((str(run_dir),), num_observations=64, num_episodes=2)
    rows = {row.metric: row for row in preparation_benchmark.run(config)}
    assert {row.case for row in rows.values()} == {f"{run_dir} static_wi8_ai8"}
    sides = ["as trained", "features scaled", "and layers equalized", "and biases corrected"]
    sides += ["all, features scaled by spread", "all, features scaled by range"]
    expected = [f"{metric}, {side}" for side in sides for metric in ("mean error", "SQNR", "return")]
    assert list(rows) == ["return, float32", *expected]
    ratios_db = [rows[f"SQNR, {side}"].value for side in sides]
    assert ratios_db[1] < ratios_db[2] - 6  # equalized
    assert ratios_db[0] < min(ratios_db[3:]) - 3
    assert rows["return, and biases corrected"].value == rows["return, float32"].value == 500


def test_weights_are_those_of_the_checkpoint(run_dir: pathlib.Path):
    architecture, variables = trained_weights.read(str(run_dir), tiny_policies.cartpole_policy().spec)
    assert architecture.hidden_sizes == (8, 8)
    for name, value in _variables().items():
        np.testing.assert_array_equal(variables[name], value)


def test_rows_by_hand():
    earned = evaluation.ReturnEstimate(7.0, 6.0, float("nan"), 2, 10.0, (6.0, 8.0))
    rows = preparation_benchmark.make_rows("task", "as trained", {"mean error": 1.5, "SQNR": 20.0}, earned)
    assert [dataclasses.astuple(row) for row in rows] == [
        ("task", "mean error, as trained", 1.5, "%", None, None),
        ("task", "SQNR, as trained", 20.0, "dB", None, None),
        ("task", "return, as trained", 7.0, "", 6.0, None),
    ]


def test_a_policy_that_is_no_run_has_no_trained_weights(tmp_path: pathlib.Path):
    _keep_policies(tmp_path)
    with pytest.raises(errors.ConfigError, match=r"has no operative_config\.gin; give a run's directory"):
        preparation_benchmark.run(preparation_benchmark.PreparationConfig((str(tmp_path),)))
    (tmp_path / "operative_config.gin").write_text(_CONFIG)
    with pytest.raises(errors.ConfigError, match="has no checkpoint of its learner"):
        preparation_benchmark.run(preparation_benchmark.PreparationConfig((str(tmp_path),)))


@pytest.mark.parametrize("recipe", ["float32", "float16", "ptq_wi4_ai8"])
def test_recipe_that_does_not_round_to_int8_is_refused(recipe: str):
    with pytest.raises(errors.ConfigError, match=f"recipe '{recipe}' has nothing to prepare for"):
        preparation_benchmark.PreparationConfig(("runs/a",), (recipe,))


def test_suite_needs_policies():
    with pytest.raises(errors.ConfigError, match="needs --policies"):
        benchmark_suites.run("preparation", benchmark_suites.Choice())


def test_a_policy_that_is_not_there_is_named():
    with pytest.raises(errors.ConfigError, match="there is no 'runs/none'"):
        benchmark_suites.run("preparation", benchmark_suites.Choice(policies=["runs/none"]))
