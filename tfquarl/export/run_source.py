"""Policies of a run as candidates for export: what was judged, and the same weights under the other recipes."""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from tfquarl.converter import one_off
from tfquarl.converter import reference_process
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.export import acting
from tfquarl.export import candidate as candidate_lib
from tfquarl.export import float_variables
from tfquarl.export import native_output
from tfquarl.metrics import return_text
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib


@dataclasses.dataclass(frozen=True)
class ArchivedPolicy:
    """A policy of a run, as its archive holds it.

    Attributes:
      artifact: the quantized policy that was judged.
      reference: the float one of the same weights.
      spec: of its environment.
      architecture: of its network.
    """

    artifact: records.PolicyArtifact
    reference: records.PolicyArtifact
    spec: environment_spec.EnvironmentSpec
    architecture: architecture_lib.PolicyArchitecture


def open_policy(artifact: records.PolicyArtifact, reference: records.PolicyArtifact) -> ArchivedPolicy:
    """Reads what the manifest says of the policy.

    Raises:
      ArtifactError: the manifest lacks the environment or the architecture, or holds something else there; or the float policy is of another
        version.
    """
    if artifact.version != reference.version:
        raise errors.ArtifactError(
            f"the float policy beside policy {artifact.version} is of version {reference.version} by its manifest; needs that of the same "
            "weights, was it put there?"
        )
    try:
        spec = environment_spec.EnvironmentSpec.from_json(artifact.manifest["environment"])
        architecture = architecture_lib.PolicyArchitecture.from_json(artifact.manifest["architecture"])
    except (KeyError, TypeError, ValueError) as error:
        raise errors.ArtifactError(
            f"policy {artifact.version}: its manifest does not describe environment and architecture ({error}); was it edited?"
        ) from error
    return ArchivedPolicy(artifact, reference, spec, architecture)


def make_candidate(
    policy: ArchivedPolicy, recipe: recipe_lib.Recipe, observations: acting.Observations, facts: Mapping[str, Any]
) -> candidate_lib.PolicyCandidate:
    """The policy under every recipe; the one that was judged keeps its very bytes.

    Args:
      policy: it.
      recipe: to export.
      observations: for calibration and verification.
      facts: what is known of its training.

    Raises:
      ArtifactError: the float policy is damaged.
      ConversionError: `recipe` can't be made.
      ConfigError: observations that can't be used.
    """
    variables = float_variables.read_variables(policy.architecture, policy.reference.model)
    candidate_lib.check_observations(observations.calibration, policy.spec.observation_size, "calibration observations")
    float_variables.check_variables(policy.architecture, variables, policy.reference.model, observations.held_out)
    snapshot = records.PolicySnapshot(policy.artifact.version, policy.artifact.train_step, variables)
    judged = {policy.artifact.recipe: policy.artifact.model} if policy.artifact.manifest.get("io") != "int8" else {}
    judged[candidate_lib.REFERENCE] = policy.reference.model
    models, missing = make_models(policy.architecture, snapshot, observations.calibration, judged, recipe.name)
    origin = "as it was judged" if recipe.name in judged else "made anew from the float32 policy"
    return candidate_lib.PolicyCandidate(
        f"{policy.spec.name}, policy {policy.artifact.version}",
        policy.spec,
        policy.architecture.head,
        recipe,
        models,
        missing,
        observations.held_out,
        {**facts, "quantized model": origin, "version": snapshot.version, "train_step": snapshot.train_step},
    )


def make_models(
    architecture: architecture_lib.PolicyArchitecture,
    snapshot: records.PolicySnapshot,
    calibration: np.ndarray,
    ready: Mapping[str, bytes],
    wanted: str = candidate_lib.REFERENCE,
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Flatbuffers with float input and output by recipe, and the recipes that could not be made with the reason.

    Args:
      architecture: of the policy.
      snapshot: its variables.
      calibration: observations, float32 [N, D].
      ready: models that are there already, by recipe.
      wanted: a recipe that is made beside those that always are, such as a low-bit one.
    """
    reference = reference_process.ReferenceProcess()
    try:
        with native_output.captured():
            return candidate_lib.convert_all(
                wanted,
                ready,
                lambda recipe: one_off.convert(architecture, recipe, snapshot, calibration, reference),
            )
    finally:
        reference.close()


def training_facts(policy: ArchivedPolicy, model_file: pathlib.Path) -> dict[str, Any]:
    """What the files of its run tell of the policy's training, for the card; `model_file` is <run>/policies/<version>/policy.tflite."""
    policy_dir = model_file.absolute().parent
    summary, verdict = (
        _json_object(policy_dir.parents[1] / "summary.json"),
        _json_object(policy_dir / "evaluation.json"),
    )
    facts: dict[str, Any] = {
        "environment": policy.spec.name,
        "experiment": summary.get("experiment"),
        "seed": summary.get("seed"),
        "hidden_layers": " x ".join(map(str, policy.architecture.hidden_sizes)),
        "env_steps_of_the_run": summary.get("env_steps"),
        "trained_with": policy.artifact.recipe,
        "calibration_in_training": policy.artifact.manifest.get("calibration"),
        "sha256_of_the_judged_model": policy.artifact.digest,
    }
    for role in ("quantized", "float32", "reference"):
        value = verdict.get(role)
        if isinstance(value, Mapping) and isinstance(value.get("mean_return"), (int, float)):
            told = return_text.with_interval(value["mean_return"], value.get("low"), value.get("high"))
            facts[f"return_in_the_run_{role}"] = f"{told} over {value.get('episodes') or '?'} episodes"
    return {key: value for key, value in facts.items() if value is not None}


def _json_object(path: pathlib.Path) -> dict[str, Any]:
    try:
        value = json.loads(files.read_bytes(path, files.MAX_JSON_BYTES))
    except (errors.TfquarlError, ValueError, RecursionError):
        return {}  # the card does without
    return value if isinstance(value, dict) else {}
