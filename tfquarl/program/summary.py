"""summary.json: how a run ended, in one JSON object."""

from collections.abc import Mapping
from typing import Any

from tfquarl.metrics import table
from tfquarl.program import budget as budget_lib
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import run_directory


def make_summary(
    experiment: experiment_lib.Experiment,
    progress: budget_lib.Progress,
    status: budget_lib.Status,
    reason: str | None,
    wall_time_sec: float,
) -> dict[str, Any]:
    """What is kept of a run.

    Args:
      experiment: that was run.
      progress: what it came to.
      status: how it ended.
      reason: why it failed; None where it didn't.
      wall_time_sec: from start to end, start-up included.

    Returns:
      Plain JSON values: status, reason, env_steps, train_steps, wall_time_sec; then of the best policy (the last one where none
      was confirmed) policy_version, 'int8' and 'float32' with mean_return, its 95% confidence_interval, episodes and
      size_bytes; and the same of the last policy under 'last_policy'.
    """
    summary: dict[str, Any] = {
        "experiment": experiment.name,
        "recipe": experiment.converter.recipe,
        "seed": experiment.seed,
        "status": str(status),
        "reason": reason,
        "env_steps": progress.total_env_steps,
        "train_steps": progress.train_steps,
        "wall_time_sec": wall_time_sec,
    }
    confirmed = [evaluation for evaluation in progress.evaluations if evaluation["confirmed"]]
    best = max(confirmed, key=lambda evaluation: evaluation["quantized"]["mean_return"], default=None)
    last = progress.evaluations[-1] if progress.evaluations else None
    summary.update(_verdict(best or last))
    summary["last_policy"] = _verdict(last)
    return summary


def describe(summary: Mapping[str, Any], directory: run_directory.RunDirectory) -> str:
    """The end of a run in a few lines: what was reached, and where it is."""
    lines = [
        f"{summary['status']} after {summary['env_steps']:,} env steps, {summary['train_steps']:,} train steps,"
        f" {summary['wall_time_sec']:.0f} s"
    ]
    if summary["int8"] is not None:
        rows = [
            [name, *_cells(summary[key]), f"{summary[key]['size_bytes']:,}"]
            for name, key in ((summary["recipe"], "int8"), ("float32", "float32"))
        ]
        lines.append(table.format_table(["policy", "mean return", "95% interval", "episodes", "bytes"], rows))
        which = "best" if summary["confirmed"] else "latest"
        lines.append(f"policy {summary['policy_version']}: {directory.policies / which / 'policy.tflite'}")
    lines.append(f"run directory: {directory.path}")
    return "\n".join(lines)


def _verdict(evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    if evaluation is None:
        return {"policy_version": None, "train_step": None, "confirmed": False, "int8": None, "float32": None}
    return {
        "policy_version": evaluation["version"],
        "train_step": evaluation["train_step"],
        "confirmed": evaluation["confirmed"],
        "int8": _returns(evaluation["quantized"], evaluation["size_bytes"]["quantized"]),
        "float32": _returns(evaluation["float32"], evaluation["size_bytes"]["float32"]),
    }


def _returns(estimate: Mapping[str, Any], size_bytes: int) -> dict[str, Any]:
    return {
        "mean_return": estimate["mean_return"],
        "confidence_interval": [estimate["low"], estimate["high"]],
        "episodes": estimate["episodes"],
        "size_bytes": size_bytes,
    }


def _cells(estimate: Mapping[str, Any]) -> list[str]:
    low, high = estimate["confidence_interval"]
    interval = "--" if low is None else f"{low:.1f} .. {high:.1f}"
    return [f"{estimate['mean_return']:.1f}", interval, str(estimate["episodes"])]
