"""summary.json: how a run ended, in one JSON object."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from tfquarl.metrics import return_text
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
      wall_time_sec: from start to end, start-up included; what a resumed run took before counts too.

    Returns:
      Plain JSON values: status, reason, the limits that it was to end at, env_steps (one for each action), action_repeat, train_steps,
      wall_time_sec;
      snapshot_to_ready_p95_sec and snapshot_to_use_p95_sec of the collector that is slowest, where one has told them; num_resumes,
      num_restarts by process, and num_parity_failures, the policies that the parity check refused; then of the best policy (the last
      one where none was confirmed) policy_version, its recipe, which is another than the experiment's where a float policy took its
      place, 'int8' and 'float32' with mean_return, its 95% confidence_interval, episodes and size_bytes; and the same of the last
      policy under 'last_policy'.
    """
    summary: dict[str, Any] = {
        "experiment": experiment.name,
        "recipe": experiment.converter.recipe,
        "seed": experiment.seed,
        "status": str(status),
        "reason": reason,
        "limits": experiment_lib.limits_of(experiment),
        "action_repeat": experiment.environment.action_repeat,
        "env_steps": progress.total_env_steps,
        "train_steps": progress.train_steps,
        "wall_time_sec": wall_time_sec,
        **{name: max(values.values()) for name, values in progress.latency_sec.items()},
        "num_resumes": progress.num_resumes,
        "num_restarts": dict(sorted(progress.num_restarts.items())),
        "num_parity_failures": progress.num_parity_failures,
    }
    confirmed = [evaluation for evaluation in progress.evaluations if evaluation["confirmed"]]
    best = max(confirmed, key=_rank, default=None)
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
        lines.append(format_returns([(summary["recipe"], summary["int8"]), ("float32", summary["float32"])]))
        which = "best" if summary["confirmed"] else "latest"
        lines.append(f"policy {summary['policy_version']}: {directory.policies / which / 'policy.tflite'}")
    else:
        lines.append(f"no policy was judged, and none is kept in {directory.policies}: {_why_none(summary)}")
    if summary.get("energy"):
        lines.append(format_energy(summary["energy"]))
    lines.append(f"run directory: {directory.path}")
    return "\n".join(lines)


def _why_none(summary: Mapping[str, Any]) -> str:
    if not summary["env_steps"]:
        return (
            "no environment step was made, and policies are converted by what environments give; more of them need more"
            " Experiment.max_wall_time_sec or LearnerConfig.max_train_steps, where these are small"
        )
    return (
        "judging takes whole episodes, and the end of a run waits Experiment.final_evaluation_sec for the last policy's"
    )


def format_energy(energy: Mapping[str, Any]) -> str:
    """'energy: 1,234 J (estimated at 10 W per busy core), 0.062 J per env step; 0.16 g CO2e at 480 g per kWh (WORLD)'."""
    is_estimate = energy["watts_per_core"] is not None
    source = f"estimated at {energy['watts_per_core']:g} W per busy core" if is_estimate else "measured by RAPL"
    per_step = energy["joules_per_env_step"]
    steps = "" if per_step is None else f", {per_step:.3g} J per env step"
    return (
        f"energy: {energy['joules']:,.0f} J ({source}){steps}; {1000 * energy['kg_co2e']:.3g} g CO2e"
        f" at {energy['grid_g_per_kwh']:g} g per kWh ({energy['region']})"
    )


def format_returns(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """An aligned table of policies' names and what `returns_json` gave for them."""
    cells = [
        [
            name,
            *return_text.cells(row["mean_return"], *row["confidence_interval"]),
            row["episodes"],
            row["size_bytes"],
        ]
        for name, row in rows
    ]
    return table.format_table(["policy", "mean return", "95% interval", "episodes", "bytes"], cells).rstrip("\n")


def returns_json(estimate: Mapping[str, Any], size_bytes: int) -> dict[str, Any]:
    """What summary.json tells of one policy: mean_return, confidence_interval, episodes and size_bytes.

    Args:
      estimate: a `ReturnEstimate` as JSON.
      size_bytes: of the policy's model.
    """
    return {
        "mean_return": estimate["mean_return"],
        "confidence_interval": [estimate["low"], estimate["high"]],
        "episodes": estimate["episodes"],
        "size_bytes": size_bytes,
    }


def _rank(evaluation: Mapping[str, Any]) -> tuple[float, int]:
    """As `archive.PolicyArchive` has it: of equal returns the newer policy's is the best."""
    return evaluation["quantized"]["mean_return"], evaluation["version"]


def _verdict(evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    if evaluation is None:
        return {"policy_version": None, "train_step": None, "confirmed": False, "int8": None, "float32": None}
    return {
        "policy_version": evaluation["version"],
        "train_step": evaluation["train_step"],
        "recipe": evaluation["recipe"],
        "confirmed": evaluation["confirmed"],
        "int8": returns_json(evaluation["quantized"], evaluation["size_bytes"]["quantized"]),
        "float32": returns_json(evaluation["float32"], evaluation["size_bytes"]["float32"]),
    }
