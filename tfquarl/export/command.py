"""What the command lines of export and quantize share: flags, the runtimes that were asked for, and what is told at the end."""

from collections.abc import Mapping
import dataclasses
import pathlib
import sys
from typing import Any

from absl import flags
import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import acting
from tfquarl.export import arm64
from tfquarl.export import bundle
from tfquarl.export import candidate as candidate_lib
from tfquarl.export import edge_model
from tfquarl.export import exporter
from tfquarl.export import float_source
from tfquarl.export import observation_layout
from tfquarl.export import observations_file
from tfquarl.export import verification
from tfquarl.metrics import return_text
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import trial

EXTRA_RUNTIMES = ("arm64",)


@dataclasses.dataclass(frozen=True)
class ExportFlags:
    """The values of the flags that both command lines have.

    Attributes:
      output_dir: of the bundle.
      overwrite: whether another bundle in it is replaced.
      io: type of the model's input and output.
      verify: runtimes beyond the installed ones.
      episodes: to play, of the exported and of the float policy; 0 for none.
      tolerance_steps: output steps by which runtimes may differ; None for the default.
      max_error_share: how far the policy may be from the float one.
      units: names and units of observation elements by field, of `observation_layout.read_units`; None where there are none.
      seed: of episodes and collected observations.
    """

    output_dir: str | None
    overwrite: bool
    io: str
    verify: tuple[str, ...]
    episodes: int
    tolerance_steps: float | None
    max_error_share: float
    units: Mapping[str, list[Mapping[str, str]]] | None
    seed: int

    def config(self, observations_source: str) -> exporter.ExportConfig:
        """How the bundle is made."""
        limits = verification.VerificationConfig(self.tolerance_steps, self.max_error_share)
        return exporter.ExportConfig(
            self.checked_output_dir(), self.overwrite, limits, observations_source, self.units, tell=tell
        )

    def check_units(self, spec: environment_spec.EnvironmentSpec) -> None:
        """Raises `ConfigError` where `units` are those of other observations."""
        observation_layout.observation_layout(spec, self.units)

    def checked_output_dir(self) -> pathlib.Path:
        """The bundle's directory.

        Raises:
          ConfigError: none was given, or it has files in it that may not be replaced.
        """
        if not self.output_dir:
            raise errors.ConfigError("--output_dir is needed, the directory that the bundle becomes")
        path = pathlib.Path(self.output_dir)
        bundle.check_output_dir(path, self.overwrite)
        return path

    def recipe(self, name: str) -> recipe_lib.Recipe:
        """The recipe called `name` with the input and output that were asked for."""
        return recipe_lib.from_name(name, self.io)


def parsed_flags() -> ExportFlags:
    """The values of the flags, which the program has defined and parsed.

    Raises:
      ConfigError: a runtime that nobody knows, or units that can't be read.
    """
    values = {field.name: getattr(flags.FLAGS, field.name) for field in dataclasses.fields(ExportFlags)}
    unknown = [name for name in values["verify"] if name not in EXTRA_RUNTIMES]
    if unknown:
        raise errors.ConfigError(f"--verify names '{unknown[0]}', needs some of {', '.join(EXTRA_RUNTIMES)}")
    units = observation_layout.read_units(pathlib.Path(values["units"])) if values["units"] else None
    return ExportFlags(**{**values, "verify": tuple(values["verify"]), "units": units})


def tell(what: str) -> None:
    """Says on stderr what is being done: an export takes a while."""
    sys.stderr.write(f"{what} ...\n")
    sys.stderr.flush()


def tell_of_collecting(count: int, task: acting.Task) -> None:
    """Says how many observations `acting.collect` is about to collect."""
    tell(f"collecting {count} + {count // 2} held-out observations by acting in {task.name}")


def run(
    policy: candidate_lib.PolicyCandidate, given: ExportFlags, observations_source: str, task: acting.Task | None
) -> int:
    """Exports `policy` and tells what came of it; the exit code.

    Args:
      policy: what is exported.
      given: the flags.
      observations_source: what its observations came from.
      task: where it acts; None where it has no environment here.

    Raises:
      ConfigError: `--episodes` without an environment, and as `exporter.export` raises.
    """
    if given.episodes and task is None:
        raise errors.ConfigError("--episodes needs an environment; give --environment")
    runtimes, skipped = _runtimes(given.verify)

    def play(model: edge_model.EdgeModel) -> list[dict[str, Any]]:
        if task is None:
            raise ValueError("nothing to play in")
        tell(f"playing {given.episodes} episodes each of the exported and of the float policy in {task.name}")
        return acting.play(task, model, policy.models[candidate_lib.REFERENCE], given.episodes)

    result = exporter.export(
        policy, given.config(observations_source), runtimes, skipped, play if given.episodes else None
    )
    sys.stdout.write(summary(result, str(given.output_dir)))
    return 0


@dataclasses.dataclass(frozen=True)
class QuantizeRequest:
    """What a user says of a policy that was not trained here.

    Attributes:
      environment: its task, or None.
      action_repeat: environment steps that each action is held for.
      head: 'q_values' or 'action'; None for that of the environment or the weights.
      action_low: lower bounds of its actions, one or as many as there are; None for those of the environment or the weights, or -1.
      action_high: upper bounds; None for those, or 1.
      observations: file of real observations; None to act in the environment.
      num_observations: calibration observations to collect.
    """

    environment: str | None
    action_repeat: int
    head: str | None
    action_low: tuple[float, ...] | None
    action_high: tuple[float, ...] | None
    observations: str | None
    num_observations: int

    def __post_init__(self) -> None:
        if self.environment is None and self.observations is None:
            raise errors.ConfigError(
                "--observations or --environment is needed: quantization is calibrated on what the policy meets"
            )


def quantize(
    source: float_source.FloatSource, name: str, request: QuantizeRequest, recipe: recipe_lib.Recipe, given: ExportFlags
) -> int:
    """Exports a policy that was not trained here; the exit code.

    Args:
      source: the policy.
      name: to call it where it has no environment.
      request: what is said of it.
      recipe: in force.
      given: the flags.

    Raises:
      ConfigError: observations that can't be used, a recipe that such a source can't have, or a policy that does not fit its
        environment or what is said of it.
    """
    if recipe.widths is not None and source.architecture is None:
        raise errors.ConfigError(
            f"recipe '{recipe.name}' needs weights (.npz) with their architecture, got a {source.kind}; use one of "
            f"{', '.join(recipe_lib.NAMES)}"
        )
    task = acting.Task(request.environment, request.action_repeat, given.seed) if request.environment else None
    spec, head = _boundary(source, name, request, task)
    given.check_units(spec)
    if request.observations is not None:
        path = pathlib.Path(request.observations)
        observations = acting.split(observations_file.read_observations(path, spec.observation_size), str(path))
    elif task is not None:
        tell_of_collecting(request.num_observations, task)
        probe = np.zeros((1, spec.observation_size), np.float32)
        observations = acting.collect(task, float_source.make_reference(source, probe), request.num_observations)
    else:
        raise ValueError("there are observations or an environment")
    tell(f"converting the {source.kind} by every recipe")
    policy = float_source.make_candidate(source, spec, head, recipe, observations, {"file": name})
    return run(policy, given, observations.source, task)


def _boundary(
    source: float_source.FloatSource, name: str, request: QuantizeRequest, task: acting.Task | None
) -> tuple[environment_spec.EnvironmentSpec, str]:
    """The environment's spec, or that of the weights, or one made from the flags, none of which contradicts another; and the head."""
    said = source.architecture or request
    if task is not None:
        spec = acting.checked_spec(task, *source.sizes)
    elif said.head is None:
        raise errors.ConfigError("--head is needed without --environment: does the policy give q_values or an action?")
    else:
        low, high = said.action_low or (-1.0,), said.action_high or (1.0,)
        spec = float_source.make_spec(source, said.head, name, low, high)
    if source.architecture is not None:
        _check_agreement(spec, source.architecture, "PolicyArchitecture.")
    _check_agreement(spec, request, "--")
    return spec, _head(spec)


def _check_agreement(
    spec: environment_spec.EnvironmentSpec, said: QuantizeRequest | architecture_lib.PolicyArchitecture, prefix: str
) -> None:
    """Raises `ConfigError` where what is said is something else than what is; `prefix` of the names by which it is said."""
    if said.head not in (None, _head(spec)):
        raise errors.ConfigError(
            f"{prefix}head={said.head} does not fit {spec.name}, whose policies give {_head(spec)}"
        )
    for key in ("action_low", "action_high"):
        bounds, needed = getattr(said, key), getattr(spec, key)
        if bounds is not None and not (
            needed and np.array_equal(np.float32(bounds * (len(needed) if len(bounds) == 1 else 1)), np.float32(needed))
        ):
            has = f"{key} is {','.join(f'{bound:g}' for bound in needed)}" if needed else "actions are discrete"
            given = ",".join(f"{bound:g}" for bound in bounds)
            raise errors.ConfigError(f"{prefix}{key}={given} does not fit {spec.name}, whose {has}")


def _head(spec: environment_spec.EnvironmentSpec) -> str:
    return "q_values" if spec.is_discrete else "action"


def summary(result: Mapping[str, Any], output_dir: str) -> str:
    """What a person wants to know right after an export."""
    lines = []
    for row in result["runtimes"]:
        if row["status"] in ("refused", "skipped"):
            lines.append(f"{row['runtime']}: {row['status']}, {row['reason']}")
        else:
            lines.append(f"{row['runtime']}: {row['status']}, {_off(row)}")
    for row in result["returns"]:
        value = return_text.with_interval(row["mean"], row["low"], row["high"])
        lines.append(f"return of the {row['policy']} policy: {value} over {row['episodes']} episodes")
    if result["coarseness"] is not None and result["coarseness"]["note"]:
        lines.append(result["coarseness"]["note"])
    return "\n".join([*lines, f"{output_dir} is ready; read MODEL_CARD.md in it", ""])


def _off(row: Mapping[str, Any]) -> str:
    return f"at most {row['worst_steps']:.3g} output steps off where {row['allowed_steps']:.3g} are allowed"


def _runtimes(extra: tuple[str, ...]) -> tuple[list[trial.Runtime], list[dict[str, Any]]]:
    runtimes, skipped = verification.local_runtimes(), []
    if "arm64" in extra:
        try:
            if not arm64.location().is_dir():
                tell(f"fetching an arm64 system with its runtime, about 60 MB, to {arm64.location()}")
            runtimes += arm64.runtimes()
        except arm64.UnavailableError as error:
            skipped.append(
                {"runtime": "ai-edge-litert arm64", "version": "", "status": "skipped", "reason": str(error)}
            )
    return runtimes, skipped
