"""What the preparations of a converter are worth to trained policies: models with more and more of them, on the same observations and episodes."""

from collections.abc import Mapping
import dataclasses

import numpy as np

from tfquarl.converter import policy_converter
from tfquarl.converter import preparation
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.evaluator import evaluation as return_estimate
from tfquarl.evaluator import judge as judge_lib
from tfquarl.experiments import trained_weights
from tfquarl.export import acting
from tfquarl.export import inspection
from tfquarl.export import native_output
from tfquarl.export import run_source
from tfquarl.metrics import table
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import observation_scaling
from tfquarl.program import evaluation
from tfquarl.program import stations
from tfquarl.quantization import calibration_set
from tfquarl.quantization import recipe as recipe_lib

_FLOAT = "float32"
_NUM_CALIBRATION, _SERIES = 256, 0


@dataclasses.dataclass(frozen=True)
class PreparationConfig:
    """What is measured.

    Attributes:
      policies: directories of runs; the policies are those of their newest checkpoints.
      recipes: names, of int8 weights.
      num_observations: that policies may be calibrated on, as a converter's newest; half as many others are compared on.
      num_episodes: that each model plays, the same ones.
      seed: of observations and episodes.
    """

    policies: tuple[str, ...]
    recipes: tuple[str, ...] = ("static_wi8_ai8",)
    num_observations: int = 1024
    num_episodes: int = 20
    seed: int = 900_000

    def __post_init__(self) -> None:
        for name in self.recipes:
            if not recipe_lib.from_name(name).rounds_to_int8:
                raise errors.ConfigError(f"recipe '{name}' has nothing to prepare for, needs one that rounds to int8")


@dataclasses.dataclass(frozen=True)
class _Side:
    """What is done to the variables before they are rounded.

    Attributes:
      steps: some of `preparation.NAMES`.
      range_share: of `observation_scaling.scale_features`.
    """

    steps: tuple[str, ...] = preparation.NAMES
    range_share: float = observation_scaling.RANGE_SHARE


_SIDES = {
    "as trained": _Side(()),
    "features scaled": _Side(("scale_observations",)),
    "and layers equalized": _Side(("scale_observations", "equalize_layers")),
    "and biases corrected": _Side(),
    "all, features scaled by spread": _Side(range_share=0.0),
    "all, features scaled by range": _Side(range_share=1.0),
}


def run(config: PreparationConfig) -> list[table.BenchmarkRow]:
    """The rows of all policies and recipes.

    Raises:
      ConfigError: there is no such run, or it has no checkpoint.
      ArtifactError: it is damaged.
    """
    return [row for path in config.policies for row in _measure(config, path)]


def _measure(config: PreparationConfig, path: str) -> list[table.BenchmarkRow]:
    kept = evaluation.open_policy(path)
    architecture, variables = trained_weights.read(path, kept.spec)
    snapshot = records.PolicySnapshot(1, 0, variables)
    model = _convert(architecture, recipe_lib.float32(), {_FLOAT: snapshot}, None)[_FLOAT]
    reference = dataclasses.replace(kept.artifact, recipe=_FLOAT, model=model)
    policy = run_source.open_policy(reference, reference)
    task = acting.Task(policy.spec.name, policy.spec.action_repeat, config.seed)
    observations = acting.collect(task, model, config.num_observations)
    recent = observations.calibration
    sides = {
        name: preparation.prepare(architecture, snapshot, recent, side.steps, side.range_share).rounded
        for name, side in _SIDES.items()
    }
    calibration = calibration_set.choose(recent, _NUM_CALIBRATION)
    player = judge_lib.Judge(kept.make_environment, stations.make_policy, seed=config.seed)
    rows = []
    try:
        for recipe in config.recipes:
            models = _convert(architecture, recipe_lib.from_name(recipe), sides, calibration)
            for name, model in {_FLOAT: reference.model, **models}.items():
                artifact = dataclasses.replace(reference, recipe=_FLOAT if name == _FLOAT else recipe, model=model)
                earned = player.estimate(artifact, config.num_episodes, _SERIES)
                side = dataclasses.replace(policy, artifact=artifact)
                figures = {} if name == _FLOAT else _figures(side, observations.held_out)
                rows += make_rows(f"{path} {recipe}", name, figures, earned)
    finally:
        player.close()
    return rows


def _convert(
    architecture: architecture_lib.PolicyArchitecture,
    recipe: recipe_lib.Recipe,
    sides: Mapping[str, records.PolicySnapshot],
    calibration: np.ndarray | None,
) -> dict[str, bytes]:
    """The model of each side, made as a converter of a run makes it."""
    converter = policy_converter.PolicyConverter(architecture, recipe)
    try:
        with native_output.captured():
            return {name: converter.convert(snapshot, calibration) for name, snapshot in sides.items()}
    finally:
        converter.release()


def _figures(policy: run_source.ArchivedPolicy, observations: np.ndarray) -> dict[str, float]:
    """Errors of one model."""
    sqnr_db, figures = inspection.output_figures(policy, observations)
    kind = "q" if policy.architecture.head == "q_values" else "action"
    return {"mean error": 100 * figures[f"{kind}_error_mean_share"], "SQNR": sqnr_db}


def make_rows(
    case: str, name: str, figures: Mapping[str, float], earned: return_estimate.ReturnEstimate | None
) -> list[table.BenchmarkRow]:
    """The rows of one model.

    Args:
      case: the policy and its recipe.
      name: of the model's side.
      figures: 'mean error', in percent of the action's range or of the q_values' spread, and 'SQNR'.
      earned: by its episodes.
    """
    units = {"mean error": "%", "SQNR": "dB"}
    rows = [table.BenchmarkRow(case, f"{metric}, {name}", value, units[metric]) for metric, value in figures.items()]
    if earned is not None:
        values = earned.to_json()
        rows.append(
            table.BenchmarkRow(case, f"return, {name}", values["mean_return"], "", values["low"], values["high"])
        )
    return rows
