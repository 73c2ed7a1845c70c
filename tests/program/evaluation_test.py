"""Tests of `tfquarl.program.evaluation`: which policy is meant, and how a verdict is told. Playing is tested with the tool."""

import math

import pytest

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.environments import graphics
from tfquarl.environments import registry
from tfquarl.evaluator import evaluation as evaluation_lib
from tfquarl.program import archive
from tfquarl.program import artifact_file
from tfquarl.program import evaluation

_SPEC = registry.spec("gym:CartPole-v1", action_repeat=2)


def _artifact(version=3, recipe="static_wi8_ai8", **manifest):
    return records.PolicyArtifact(
        version,
        1200,
        recipe,
        b"int8" if recipe != "float32" else b"float32!",
        {"environment": _SPEC.to_json(), **manifest},
    )


def _write(directory, artifact, name=artifact_file.MODEL):
    directory.mkdir(parents=True, exist_ok=True)
    artifact_file.write_artifact(artifact, directory / name)
    return directory / name


def _estimate(*returns):
    mean = sum(returns) / len(returns)
    low, high = (min(returns), max(returns)) if len(returns) > 1 else (math.nan, math.nan)
    return evaluation_lib.ReturnEstimate(mean, low, high, len(returns), mean, returns)


@pytest.fixture
def kept(tmp_path):
    """The directory of one version."""
    _write(tmp_path, _artifact())
    _write(tmp_path, _artifact(recipe="float32"), archive.REFERENCE_MODEL)
    return tmp_path


@pytest.mark.parametrize("name", ["", artifact_file.MODEL], ids=["directory", "file"])
def test_a_policy_is_opened_with_the_float_one_beside_it(kept, name):
    policy = evaluation.open_policy(kept / name)
    assert (policy.artifact.digest, policy.model_file) == (_artifact().digest, kept / artifact_file.MODEL)
    assert policy.reference is not None and policy.reference.digest == _artifact(recipe="float32").digest
    assert policy.spec == _SPEC and policy.spec.action_repeat == 2


def test_the_environment_is_made_with_the_action_repeat_it_was_trained_with(kept):
    environment = evaluation.open_policy(kept).make_environment(seed=0)
    assert environment.spec == _SPEC
    environment.close()


@pytest.mark.parametrize("can_render", [True, False])
def test_how_to_draw_is_chosen_before_the_suite_is_imported(kept, monkeypatch, can_render):
    calls = []
    monkeypatch.setattr(graphics, "prepare", calls.append)
    monkeypatch.setattr(registry, "spec", lambda name, action_repeat: calls.append(name) or _SPEC)
    evaluation.open_policy(kept, can_render=can_render)
    assert calls == [can_render, "gym:CartPole-v1"]


def test_the_float_policy_can_be_opened_by_itself(kept):
    policy = evaluation.open_policy(kept / archive.REFERENCE_MODEL)
    assert policy.artifact.recipe == "float32" and policy.reference is None


def test_a_float_policy_of_another_version_is_not_compared_with(kept):
    _write(kept, _artifact(version=2, recipe="float32"), archive.REFERENCE_MODEL)
    assert evaluation.open_policy(kept).reference is None


def test_a_missing_path_is_one_line(tmp_path):
    with pytest.raises(errors.ConfigError, match=r"there is no '.*nowhere'; give a run directory or a .tflite file"):
        evaluation.open_policy(tmp_path / "nowhere")


def test_a_manifest_without_an_environment_is_damaged(tmp_path):
    _write(tmp_path, records.PolicyArtifact(1, 2, "static_wi8_ai8", b"", {}))
    with pytest.raises(errors.ArtifactError, match=r"manifest of .*policy.tflite tells no environment"):
        evaluation.open_policy(tmp_path)


def test_another_version_of_the_environment_is_refused(tmp_path):
    _write(tmp_path, _artifact(environment={**_SPEC.to_json(), "num_actions": 3}))
    with pytest.raises(errors.ConfigError, match=r"CartPole-v1 has num_actions 2 here, the policy was trained with 3"):
        evaluation.open_policy(tmp_path)


def test_a_verdict_as_json(kept, tmp_path):
    verdict = evaluation.Verdict(evaluation.open_policy(kept), 5, _estimate(10.0, 20.0), _estimate(12.0, 24.0))
    value = verdict.to_json()
    files.write_json(tmp_path / "a.json", value)
    assert (value["recipe"], value["policy_version"], value["seed"]) == ("static_wi8_ai8", 3, 5)
    assert value["int8"] == {
        "mean_return": 15.0,
        "confidence_interval": [10.0, 20.0],
        "episodes": 2,
        "size_bytes": 4,
        "returns": [10.0, 20.0],
    }
    assert (value["float32"]["mean_return"], value["float32"]["size_bytes"]) == (18.0, 8)
    assert value["difference"]["mean"] == -3.0


def test_a_verdict_as_a_table(kept):
    verdict = evaluation.Verdict(evaluation.open_policy(kept), 5, _estimate(10.0, 20.0), _estimate(12.0, 24.0))
    first, header, _, int8, float32, difference = verdict.describe().splitlines()
    assert first.startswith("gym:CartPole-v1: policy 3 after 1,200 train steps, ")
    assert header.split() == ["policy", "mean", "return", "95%", "interval", "episodes", "bytes"]
    assert int8.split() == ["static_wi8_ai8", "15.0", "10.0", "..", "20.0", "2", "4"]
    assert float32.split() == ["float32", "18.0", "12.0", "..", "24.0", "2", "8"]
    assert difference.startswith("static_wi8_ai8 - float32 on the same episodes: -3.0 (")


def test_small_returns_and_their_difference_are_told_in_digits_that_matter(kept):
    verdict = evaluation.Verdict(
        evaluation.open_policy(kept), 5, _estimate(-0.0125, -0.0175), _estimate(-0.012, -0.017)
    )
    *_, int8, float32, difference = verdict.describe().splitlines()
    assert int8.split() == ["static_wi8_ai8", "-0.0150", "-0.0175", "..", "-0.0125", "2", "4"]
    assert float32.split() == ["float32", "-0.0145", "-0.0170", "..", "-0.0120", "2", "8"]
    assert difference == "static_wi8_ai8 - float32 on the same episodes: -0.0005 (-0.0005 .. -0.0005)"


def test_one_episode_has_no_interval_and_one_policy_no_difference(kept):
    policy = evaluation.open_policy(kept / archive.REFERENCE_MODEL)
    verdict = evaluation.Verdict(policy, 0, _estimate(7.0), None)
    assert verdict.difference is None
    assert verdict.describe().splitlines()[-1].split() == ["float32", "7.0", "--", "1", "8"]
    value = verdict.to_json()
    assert value["float32"]["confidence_interval"] == [None, None] and "int8" not in value
