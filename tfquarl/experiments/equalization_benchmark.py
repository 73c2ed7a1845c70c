"""What equalized layers are worth to trained policies: models without and with them, on the same observations and episodes."""

from collections.abc import Mapping
import dataclasses
import pathlib

import numpy as np

from tfquarl.converter import policy_converter
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.evaluator import evaluation as return_estimate
from tfquarl.evaluator import judge as judge_lib
from tfquarl.export import acting
from tfquarl.export import float_variables
from tfquarl.export import inspection
from tfquarl.export import native_output
from tfquarl.export import run_source
from tfquarl.metrics import table
from tfquarl.networks import layer_equalization
from tfquarl.program import evaluation
from tfquarl.program import stations
from tfquarl.quantization import calibration_set
from tfquarl.quantization import recipe as recipe_lib

_FLOAT, _PLAIN, _EQUALIZED = "float32", "as trained", "equalized"
_NUM_CALIBRATION, _SERIES = 256, 0


@dataclasses.dataclass(frozen=True)
class EqualizationConfig:
    """What is measured.

    Attributes:
      policies: directories of runs, or of single policies, whose layers were not equalized in training.
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
                raise errors.ConfigError(f"recipe '{name}' has nothing to equalize, needs one that rounds to int8")


def run(config: EqualizationConfig) -> list[table.BenchmarkRow]:
    """The rows of all policies and recipes.

    Raises:
      ConfigError: there is no such policy, its float one isn't there, or its layers are equalized already.
      ArtifactError: it is damaged.
    """
    return [row for path in config.policies for row in _measure(config, path)]


def _measure(config: EqualizationConfig, path: str) -> list[table.BenchmarkRow]:
    kept = evaluation.open_policy(pathlib.Path(path))
    if kept.reference is None:
        raise errors.ConfigError(f"{path} has no float policy of the same version, which is what gets equalized")
    if "equalize_layers" in kept.reference.manifest.get("preparations", ()):
        raise errors.ConfigError(
            f"{path}: its layers are equalized already; train with ConverterConfig.equalize_layers = False"
        )
    policy = run_source.open_policy(kept.artifact, kept.reference)
    task = acting.Task(policy.spec.name, policy.spec.action_repeat, config.seed)
    observations = acting.collect(task, kept.reference.model, config.num_observations)
    rows = []
    player = judge_lib.Judge(kept.make_environment, stations.make_policy, seed=config.seed)
    try:
        for recipe in config.recipes:
            for name, model in {
                _FLOAT: kept.reference.model,
                **_models(policy, recipe, observations.calibration),
            }.items():
                artifact = dataclasses.replace(kept.reference, recipe=_FLOAT if name == _FLOAT else recipe, model=model)
                earned = player.estimate(artifact, config.num_episodes, _SERIES)
                side = dataclasses.replace(policy, artifact=artifact)
                figures = {} if name == _FLOAT else _figures(side, observations.held_out)
                rows += make_rows(f"{path} {recipe}", name, figures, earned)
    finally:
        player.close()
    return rows


def _models(policy: run_source.ArchivedPolicy, recipe: str, recent: np.ndarray) -> dict[str, bytes]:
    """The policy by its float variables as they are, and equalized, both as a converter of a run makes them."""
    architecture = policy.architecture
    variables = float_variables.read_variables(architecture, policy.reference.model)
    calibration = calibration_set.choose(recent, _NUM_CALIBRATION)
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.from_name(recipe))
    sides = {_PLAIN: variables, _EQUALIZED: layer_equalization.equalize(architecture, variables, recent)}
    try:
        with native_output.captured():
            return {
                name: converter.convert(records.PolicySnapshot(policy.artifact.version, 0, side), calibration)
                for name, side in sides.items()
            }
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
