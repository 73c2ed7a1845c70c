"""Whether a model acts alike on every runtime that may run it, and like the float policy: figures and verdicts."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import edge_model
from tfquarl.export import tolerance
from tfquarl.quantization import parity
from tfquarl.runtime import trial


@dataclasses.dataclass(frozen=True)
class VerificationConfig:
    """What is checked and how far results may differ.

    Attributes:
      tolerance_steps: output steps by which runtimes may differ at most, and by a fifth of it in the mean; None for
        `tolerance.make_tolerance` to decide.
      max_error_share: how far the policy may be from the float one: mean action error as a share of the range, or the value that its
        choices give away as a share of the spread of q_values.
    """

    tolerance_steps: float | None = None
    max_error_share: float = 0.05


def local_runtimes() -> list[trial.Runtime]:
    """The runtimes that are installed here; the first one is what the others are compared with."""
    return [
        trial.Runtime("ai-edge-litert", "xnnpack"),
        trial.Runtime("ai-edge-litert", "builtin"),
        trial.Runtime("tensorflow", "xnnpack"),
        trial.Runtime("tensorflow", "builtin"),
        trial.Runtime("tflite-micro", "reference"),
    ]


def run_trials(
    model: edge_model.EdgeModel,
    inputs: np.ndarray,
    runtimes: Sequence[trial.Runtime],
    run: Callable[[trial.Runtime, bytes, np.ndarray], trial.Trial] = trial.run,
) -> list[trial.Trial]:
    """Runs `model` on each runtime.

    Raises:
      ConversionError: the first runtime, which the others are compared with, refuses the model.
    """
    trials = [run(runtimes[0], model.model, inputs)]
    outputs_of(trials[0])
    return trials + [run(runtime, model.model, inputs) for runtime in runtimes[1:]]


def outputs_of(item: trial.Trial) -> np.ndarray:
    """Outputs [N, O] of a trial that must have some; raises `ConversionError` where it has none."""
    if item.outputs is None:
        raise errors.ConversionError(f"{item.runtime} does not run the exported model: {item.refusal}")
    return item.outputs


def compare(
    model: edge_model.EdgeModel, trials: Sequence[trial.Trial], limits: tolerance.Tolerance, telling: np.ndarray
) -> list[dict[str, Any]]:
    """One row of figures for each trial, against the first one.

    Args:
      model: that ran.
      trials: of it.
      limits: how far each output may be off.
      telling: numbers of the observations that tell a right policy from a broken one, whose mean counts.

    Returns:
      By key: 'runtime', 'version'; 'status': 'passed', 'failed' or 'refused' (with 'reason'); 'max_steps';
      'worst_steps' of the output that is off most by what it may be, and 'allowed_steps' of that one;
      'mean_steps' and 'allowed_mean_steps' of the telling observations;
      'differing_share' of outputs, by more than half a step; 'max_difference' in units of q_values or actions; 'greedy_changed_share' of observations, None
      for continuous actions; 'arena_bytes'.
    """
    reference = outputs_of(trials[0])
    return [_compare_one(model, reference, item, limits, telling) for item in trials]


def float_figures(spec: environment_spec.EnvironmentSpec, got: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Figures of `quantization.parity` for outputs [N, O] of the exported and of the float policy."""
    figures = parity.figures(got, expected, spec.action_low, spec.action_high)
    ratio = parity.sqnr_db(got, expected)
    return {**figures, "sqnr_db": ratio} if np.isfinite(ratio) else figures  # JSON has no infinity


def check(rows: Sequence[dict[str, Any]], figures: dict[str, float], config: VerificationConfig, remedy: str) -> None:
    """Refuses a model that acts otherwise somewhere.

    Args:
      rows: of `compare`.
      figures: of `float_figures`.
      config: what is allowed.
      remedy: of `PolicyCandidate`.

    Raises:
      ParityError: with the runtime and by how much.
    """
    for row in rows:
        if row["status"] == "failed":
            raise errors.ParityError(
                f"{row['runtime']} differs by up to {row['worst_steps']:.4g} output steps where {row['allowed_steps']:.4g} are allowed, and "
                f"by {row['mean_steps']:.4g} in the mean where {row['allowed_mean_steps']:.4g} are, at most {row['max_difference']:.4g} in the "
                "output's units; raise --tolerance_steps if your task bears it"
            )
    key = "regret_share" if "regret_share" in figures else "action_error_mean_share"
    if not figures[key] <= config.max_error_share:
        raise errors.ParityError(
            f"the exported policy is off the float one: {key} is {figures[key]:.4g}, {config.max_error_share:g} is allowed; "
            f"{remedy} or raise --max_error_share"
        )


def _compare_one(
    model: edge_model.EdgeModel,
    reference: np.ndarray,
    item: trial.Trial,
    limits: tolerance.Tolerance,
    telling: np.ndarray,
) -> dict[str, Any]:
    row: dict[str, Any] = {"runtime": item.runtime, "version": item.version}
    if item.outputs is None:
        return {**row, "status": "refused", "reason": item.refusal}
    if item.outputs.shape != reference.shape:
        shape = list(item.outputs.shape)
        return {**row, "status": "refused", "reason": f"gave outputs of shape {shape}, needs {list(reference.shape)}"}
    expected, got = model.decode(reference), model.decode(item.outputs)
    difference = np.abs(got.astype(np.float64) - expected)
    steps = difference / model.output_step(expected)
    worst = np.unravel_index(limits.shares(steps).argmax(), steps.shape)
    passed = np.all(limits.shares(steps) <= 1) and limits.at(telling).accepts(steps[telling])  # not-a-numbers fail
    is_q = model.output_name == "q_values"
    return {
        **row,
        "status": "passed" if passed else "failed",
        "max_steps": float(steps.max()),
        "worst_steps": float(steps[worst]),
        "allowed_steps": float(limits.steps[worst]),
        "mean_steps": float(steps[telling].mean()),
        "allowed_mean_steps": limits.at(telling).mean,
        "differing_share": float(np.mean(steps > 0.5)),
        "max_difference": float(difference.max()),
        "greedy_changed_share": float(np.mean(got.argmax(1) != expected.argmax(1))) if is_q else None,
        "arena_bytes": item.arena_bytes,
    }
