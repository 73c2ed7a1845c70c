"""Any trained policy under any recipe, after training: what it then earns, and how far its actions are from the float policy's."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any

import numpy as np

from tfquarl.converter import one_off
from tfquarl.converter import reference_process
from tfquarl.core import records
from tfquarl.evaluator import judge as judge_lib
from tfquarl.export import acting
from tfquarl.export import float_variables
from tfquarl.export import run_source
from tfquarl.networks import numpy_policy
from tfquarl.program import evaluation
from tfquarl.program import stations
from tfquarl.quantization import low_bit
from tfquarl.quantization import parity
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import interpreter

_SERIES = 0
_WEIGHT_BITS = range(2, 9)


def study(
    run_dir: pathlib.Path, recipes: Sequence[str], num_episodes: int, num_observations: int, seed: int
) -> list[dict[str, Any]]:
    """One row for the policy as it was trained, one for its float weights, and one for each of `recipes`.

    Args:
      run_dir: directory of a run, or of a policy.
      recipes: names; none of quantization-aware training.
      num_episodes: that each is judged on, the same ones for all.
      num_observations: for calibration; half as many others are compared on.
      seed: of episodes and observations.

    Returns:
      Plain JSON values: 'recipe', 'kind' ('trained', 'float' or 'post-training'), 'mean_return', 'low', 'high', 'episodes', 'model_bytes',
      'packed_bytes', 'relative_error' (E of QuaRL: (float - quantized) / |float|) and the figures of `quantization.parity`.

    Raises:
      ConfigError, ArtifactError: there is no policy, or it is damaged.
      ConversionError: a recipe that the policy can't have.
    """
    kept = evaluation.open_policy(run_dir)
    reference = kept.reference or kept.artifact
    policy = run_source.open_policy(kept.artifact, reference)
    variables = float_variables.read_variables(policy.architecture, reference.model)
    task = acting.Task(policy.spec.name, policy.spec.action_repeat, seed)
    observations = acting.collect(task, reference.model, num_observations)
    models = {("float", "float32"): reference.model, ("trained", kept.artifact.recipe): kept.artifact.model}
    for name, model in _convert(policy, variables, recipes, observations.calibration).items():
        models["post-training", name] = model
    expected = numpy_policy.forward(policy.architecture, variables, observations.held_out)["output"]
    player = judge_lib.Judge(kept.make_environment, stations.make_policy, seed=seed)
    rows = []
    try:
        for (kind, name), model in models.items():
            artifact = records.PolicyArtifact(reference.version, reference.train_step, name, model, reference.manifest)
            estimate = player.estimate(artifact, num_episodes, _SERIES)
            if estimate is None:
                raise ValueError("episodes that nobody stops always end")
            figures = _figures(policy, model, observations.held_out, expected)
            returns = {key: value for key, value in estimate.to_json().items() if key != "returns"}
            rows.append({"kind": kind, "recipe": name, **returns, **_sizes(policy, name, model), **figures})
    finally:
        player.close()
    for row in rows:
        row["relative_error"] = relative_error(rows[0]["mean_return"], row["mean_return"])
    return rows


def relative_error(float_return: float, quantized_return: float) -> float | None:
    """E = (float - quantized) / |float|, QuaRL's measure; negative where the quantized policy earns more. None where float earns 0."""
    return (float_return - quantized_return) / abs(float_return) if float_return else None


def weight_spreads(run_dir: pathlib.Path, num_bins: int = 41) -> list[dict[str, Any]]:
    """Distribution of each layer's weights: 'layer', 'largest', 'deviation', 'largest_in_deviations', 'counts', 'edges', 'sqnr_db'.

    A layer whose largest weight is many standard deviations away spends its steps on few weights: 'sqnr_db' tells by the number of
    bits, '2' to '8', the signal to noise ratio of the weights with one scale for the layer.
    """
    kept = evaluation.open_policy(run_dir)
    reference = kept.reference or kept.artifact
    policy = run_source.open_policy(kept.artifact, reference)
    variables = float_variables.read_variables(policy.architecture, reference.model)
    rows = []
    for name in policy.architecture.layer_names:
        kernel = variables[f"{name}/kernel"].astype(np.float64)
        largest, deviation = float(np.abs(kernel).max()), float(kernel.std())
        counts, edges = np.histogram(kernel, num_bins)
        rows.append(
            {
                "layer": name,
                "largest": largest,
                "deviation": deviation,
                "largest_in_deviations": largest / deviation if deviation else None,
                "counts": counts.tolist(),
                "edges": edges.tolist(),
                "sqnr_db": {str(bits): _weight_sqnr_db(kernel, largest, bits) for bits in _WEIGHT_BITS},
            }
        )
    return rows


def _weight_sqnr_db(kernel: np.ndarray, largest: float, bits: int) -> float | None:
    """Of the weights rounded to `bits`; None where nothing is lost, as in a layer of zeros."""
    step = max(largest, float(low_bit.SMALLEST_WEIGHT)) / low_bit.weight_limit(bits)
    scales = np.full(kernel.shape[1], step)
    ratio = parity.sqnr_db(low_bit.quantize_weights(kernel, scales, bits) * scales, kernel)
    return ratio if np.isfinite(ratio) else None


def _convert(
    policy: run_source.ArchivedPolicy,
    variables: Mapping[str, np.ndarray],
    recipes: Sequence[str],
    calibration: np.ndarray,
) -> dict[str, bytes]:
    """Models by recipe, each as a run's converter makes it."""
    snapshot = records.PolicySnapshot(policy.reference.version, policy.reference.train_step, variables)
    process = reference_process.ReferenceProcess()
    try:
        return {
            recipe.name: one_off.convert(policy.architecture, recipe, snapshot, calibration, process)
            for recipe in map(recipe_lib.from_name, recipes)
        }
    finally:
        process.close()


def _figures(
    policy: run_source.ArchivedPolicy, model: bytes, observations: np.ndarray, expected: np.ndarray
) -> dict[str, float]:
    got = np.array(interpreter.PolicyInterpreter(model, len(observations))(observations))
    return parity.figures(got, expected, policy.architecture.action_low, policy.architecture.action_high)


def _sizes(policy: run_source.ArchivedPolicy, recipe: str, model: bytes) -> dict[str, int]:
    widths = recipe_lib.from_name(recipe).widths
    if widths is None:
        return {"model_bytes": len(model), "packed_bytes": len(model)}
    packed = low_bit.packed_size(policy.architecture.variable_shapes(), widths.weights)
    return {"model_bytes": len(model), "packed_bytes": packed.packed_bytes}
