"""Policies of a run: the judged bytes, the same weights under other recipes, and what the environment says to them."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest

from tests.export import tiny_models
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.export import acting
from tfquarl.export import edge_model
from tfquarl.export import float_graph
from tfquarl.export import float_source
from tfquarl.export import float_variables
from tfquarl.export import run_source
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer
from tfquarl.runtime import integer_core
from tfquarl.runtime import model_runner
from tfquarl.testing import tiny_policies

_CARTPOLE = acting.Task("gym:CartPole-v1", seed=3)


@pytest.fixture(scope="module", name="cartpole")
def _cartpole() -> run_source.ArchivedPolicy:
    policy = tiny_policies.cartpole_policy()
    manifest = {"environment": policy.spec.to_json(), "architecture": policy.architecture.to_json(), "io": "float32"}
    artifacts = [
        records.PolicyArtifact(3, 30, recipe, tiny_models.convert(policy, recipe), manifest)
        for recipe in ("static_wi8_ai8", "float32")
    ]
    return run_source.open_policy(*artifacts)


@pytest.mark.parametrize("make", [tiny_policies.arm_policy, tiny_policies.cartpole_policy], ids=["action", "q_values"])
def test_float_weights_are_read_back_exactly(make):
    policy = make()
    model = tiny_models.convert(policy, "float32")
    got = float_variables.read_variables(policy.architecture, model)
    for name, value in policy.variables.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
    float_variables.check_variables(policy.architecture, got, model, policy.observations)


def test_weights_that_compute_something_else_are_refused():
    policy = tiny_policies.arm_policy()
    other = dict(policy.variables, **{"head/bias": policy.variables["head/bias"] + 1})
    with pytest.raises(errors.ArtifactError, match="give outputs that are"):
        float_variables.check_variables(
            policy.architecture, other, tiny_models.convert(policy, "float32"), policy.observations
        )


def test_another_architecture_is_refused():
    arm, cartpole = tiny_policies.arm_policy(), tiny_policies.cartpole_policy()
    with pytest.raises(errors.ArtifactError, match="is it the float32 model of this policy"):
        float_variables.read_variables(arm.architecture, tiny_models.convert(cartpole, "float32"))


def test_observations_collected_by_acting(cartpole: run_source.ArchivedPolicy):
    observations = acting.collect(_CARTPOLE, cartpole.reference.model, 40)
    assert observations.calibration.shape == (40, 4)
    assert observations.held_out.shape == (20, 4)
    assert np.abs(observations.calibration[:, 2]).max() < 0.42  # beyond that the episode has ended
    again = acting.collect(_CARTPOLE, cartpole.reference.model, 40)
    np.testing.assert_array_equal(again.calibration, observations.calibration)


def test_split_holds_every_fourth_out():
    split = acting.split(np.arange(8)[:, np.newaxis], "x")
    assert split.held_out.ravel().tolist() == [0, 4]
    assert split.calibration.ravel().tolist() == [1, 2, 3, 5, 6, 7]


def test_the_judged_recipe_keeps_its_bytes_and_others_are_made_anew(cartpole: run_source.ArchivedPolicy):
    observations = acting.collect(_CARTPOLE, cartpole.reference.model, 64)
    made = run_source.make_candidate(cartpole, recipe_lib.static_wi8_ai8("int8"), observations, {"experiment": "x"})
    assert made.models["static_wi8_ai8"] == cartpole.artifact.model
    assert made.models["float32"] == cartpole.reference.model
    assert set(made.models) == set(recipe_lib.NAMES)
    assert made.facts["quantized model"] == "as it was judged"
    operators = [name for name, _ in integer_core.PolicyGraph(made.models["float16"]).operator_versions]
    assert "SUB" not in operators  # an observation scaling that is the identity costs nothing
    assert made.facts["experiment"] == "x"
    assert made.scaling is None
    anew = run_source.make_candidate(cartpole, recipe_lib.float16(), observations, {})
    assert anew.facts["quantized model"] == "made anew from the float32 policy"


def test_the_exported_policy_earns_what_the_float_one_earns(cartpole: run_source.ArchivedPolicy):
    model = edge_model.make_edge_model(cartpole.artifact.model, "int8", "q_values", {})
    rows = acting.play(_CARTPOLE, model, cartpole.reference.model, 2)
    assert [(row["policy"], row["mean"], row["episodes"]) for row in rows] == [
        ("exported", 500, 2),
        ("float32", 500, 2),
    ]


def test_a_policy_of_another_task_is_refused():
    with pytest.raises(errors.ConfigError, match="maps 6 features to 3 outputs, gym:CartPole-v1 has 4 and 2"):
        acting.checked_spec(_CARTPOLE, 6, 3)


def test_a_manifest_without_architecture_is_refused(cartpole: run_source.ArchivedPolicy):
    manifest = {"environment": cartpole.spec.to_json()}
    with pytest.raises(errors.ArtifactError, match="'architecture'"):
        run_source.open_policy(dataclasses.replace(cartpole.artifact, manifest=manifest), cartpole.reference)


def test_a_float_policy_of_another_version_is_refused(cartpole: run_source.ArchivedPolicy):
    other = dataclasses.replace(cartpole.reference, version=4)
    with pytest.raises(errors.ArtifactError, match="the float policy beside policy 3 is of version 4"):
        run_source.open_policy(cartpole.artifact, other)


def test_layers_are_equalized_where_a_model_is_made_anew():
    policy = tiny_policies.arm_policy()
    sizes = np.geomspace(0.02, 50, 16, dtype=np.float32)
    variables = {
        **policy.variables,
        "dense_0/kernel": policy.variables["dense_0/kernel"] * sizes,
        "dense_0/bias": policy.variables["dense_0/bias"] * sizes,
        "dense_1/kernel": policy.variables["dense_1/kernel"] / sizes[:, np.newaxis],
    }
    uneven = dataclasses.replace(policy, variables=variables)
    recipe = recipe_lib.static_wi8_ai8()
    of_run, _ = run_source.make_models(
        policy.architecture, records.PolicySnapshot(3, 30, variables), policy.observations, {}
    )
    of_weights = float_source.Weights(policy.architecture, variables).convert(recipe, policy.observations)
    expected = numpy_policy.forward(policy.architecture, variables, policy.observations)["output"]
    plain, *equalized = (
        np.abs(model_runner.ModelRunner(model).run(policy.observations) - expected).mean()
        for model in (tiny_models.convert(uneven, recipe.name), of_run[recipe.name], of_weights)
    )
    assert max(equalized) < plain / 2


def test_features_are_scaled_where_a_model_is_made_anew():
    policy = tiny_policies.cartpole_policy()
    unit = np.float32([1000, 1, 1, 1])  # the first feature's, which leaves an int8 input no step for the others
    variables = dict(policy.variables)
    variables["dense_0/kernel"] = variables["dense_0/kernel"] / unit[:, np.newaxis]
    uneven = dataclasses.replace(policy, variables=variables)
    manifest = {"environment": policy.spec.to_json(), "architecture": policy.architecture.to_json(), "io": "float32"}
    reference = records.PolicyArtifact(3, 30, "float32", tiny_models.convert(uneven, "float32"), manifest)
    observations = acting.split(policy.observations * unit, "x")
    recipe = recipe_lib.static_wi8_ai8()
    of_run = run_source.make_candidate(run_source.open_policy(reference, reference), recipe, observations, {})
    weights = float_source.Weights(policy.architecture, variables)
    of_weights = float_source.make_candidate(weights, policy.spec, "q_values", recipe, observations, {})
    expected = weights.outputs(observations.held_out)
    seen = observations.calibration
    for made in (of_run, of_weights):
        got = model_runner.ModelRunner(made.models[recipe.name]).run(observations.held_out)
        assert np.abs(got - expected).mean() < 0.02 * np.abs(expected).max()
        assert made.scaling is not None  # what policy.json tells is what the model does
        np.testing.assert_allclose(made.scaling["offset"], (seen.min(axis=0) + seen.max(axis=0)) / 2)
        operators = [name for name, _ in integer_core.PolicyGraph(made.models["float16"]).operator_versions]
        assert "SUB" not in operators  # what rounds no weight to int8 is not scaled


def test_a_categorical_policy_goes_into_a_bundle_with_a_float_end(monkeypatch: pytest.MonkeyPatch):
    processes = tiny_models.record_processes(monkeypatch)
    policy = tiny_policies.cartpole_policy()
    architecture = architecture_lib.PolicyArchitecture(4, (8,), 2, "q_values", num_atoms=5, v_min=0.0, v_max=10.0)
    generator = np.random.default_rng(0)
    variables = {
        name: generator.normal(size=s).astype(np.float32) for name, s in architecture.variable_shapes().items()
    }
    snapshot = records.PolicySnapshot(3, 30, variables)
    models, missing = run_source.make_models(architecture, snapshot, policy.observations, {}, "ptq_wi4_ai8")
    assert sorted(models) == sorted(recipe_lib.NAMES)
    assert "ends with a softmax in float32" in missing["ptq_wi4_ai8"]
    assert [process.poll() is not None for process in processes] == [True]  # one, which has ended
    np.testing.assert_array_equal(
        float_variables.read_variables(architecture, models["float32"])["head/kernel"], variables["head/kernel"]
    )
    graph = float_graph.FloatGraph(
        models["static_wi8_ai8"], flatbuffer.read_layout(models["static_wi8_ai8"]), variables
    )
    expected = numpy_policy.forward(architecture, variables, policy.observations)["output"]
    np.testing.assert_allclose(graph.run(policy.observations)[-1], expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(errors.ConversionError, match="no integer core to cut out"):
        edge_model.make_edge_model(models["static_wi8_ai8"], "int8", "q_values", {})


@pytest.mark.parametrize("damage", ["too large", "nested without end", "no JSON"])
def test_the_card_does_without_a_summary_that_cannot_be_read(
    tmp_path: pathlib.Path, cartpole: run_source.ArchivedPolicy, damage: str
):
    model = tmp_path / "policies" / "3" / "policy.tflite"
    summary = tmp_path / "summary.json"
    summary.write_text('{"experiment": "tiny"}')
    assert run_source.training_facts(cartpole, model)["experiment"] == "tiny"
    summary.write_text("[" * 100_000 if damage == "nested without end" else "{")
    if damage == "too large":
        os.truncate(summary, 3 << 40)
    assert "experiment" not in run_source.training_facts(cartpole, model)
