"""Run directories of a study, as far as its report reads them."""

from collections.abc import Sequence
import json
import pathlib
from typing import Any


def write_run(
    root: pathlib.Path,
    arm: str,
    seed: int,
    curve: Sequence[tuple[float, float]],
    wall_sec: float,
    collector_sec: float,
    learner_sec: float = 50.0,
    action_repeat: int = 1,
    codecarbon_joules: float | None = None,
    status: str = "completed",
) -> None:
    """Writes a run whose two collectors made 1,000 steps.

    Args:
      root: of the task's runs.
      arm: of the study.
      seed: of the run.
      curve: seconds until each policy was published, and its return; empty for a run without verdicts.
      wall_sec: from start until the last policy was published, which was not judged; the run ended 10 s later.
      collector_sec: CPU time of collectors, 10 joules a second.
      learner_sec: of the learner, likewise.
      action_repeat: steps that each action was held for.
      codecarbon_joules: what codecarbon measured; None where it was not asked for.
      status: how the run ended.
    """
    directory = root / f"{arm}_seed{seed}"
    directory.mkdir(parents=True)
    size_bytes = 100 if arm == "I8" else 400
    verdict = {"mean_return": curve[-1][1], "size_bytes": size_bytes, "episodes": 5} if curve else None
    cpu_sec = {"learner": learner_sec, "collector_0": collector_sec, "collector_1": 0.0}
    summary: dict[str, Any] = {
        "experiment": root.name,
        "seed": seed,
        "status": status,
        "env_steps": 1000,
        "action_repeat": action_repeat,
        "wall_time_sec": wall_sec + 10,
        "last_policy": {"int8": verdict},
        "energy": {
            "joules": 10 * (learner_sec + collector_sec),
            "kg_co2e": 0.001,
            "joules_by_role": {"learner": 10 * learner_sec, "collector": 10 * collector_sec},
            "cpu_sec_by_process": cpu_sec,
            "watts_per_core": 10.0,
            "idle_share": 0.0,
            "region": "WORLD",
            "grid_g_per_kwh": 480.0,
        },
    }
    if codecarbon_joules is not None:
        summary["energy"]["codecarbon"] = {"joules": codecarbon_joules, "version": "3.2.7"}
    (directory / "summary.json").write_text(json.dumps(summary))
    versions = {"machine": {"cores": 2, "cpu": "X", "flags": []}, "commit": "abc", "packages": {}}
    (directory / "versions.json").write_text(json.dumps(versions))
    lines = [
        json.dumps({"time_sec": time_sec, "group": group, "step": step, "values": values})
        for time_sec, group, step, values in _rows(curve, wall_sec)
    ]
    (directory / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def _rows(curve: Sequence[tuple[float, float]], wall_sec: float) -> list[tuple[float, str, int, dict[str, Any]]]:
    times = {"RunTime/step_sec": 2.0, "RunTime/pull_sec": 0.5, "RunTime/load_sec": 0.25}
    rows: list[tuple[float, str, int, dict[str, Any]]] = [
        (1.0, "collect/0", 500, times),
        (1.0, "collect/1", 500, times),
    ]
    for time_sec, value in curve:
        step = 1000 + round(time_sec)
        rows.append((time_sec, "convert", step, {}))
        verdict_values = {"Metrics/AverageReturn": value, "Metrics/Float32AverageReturn": value}
        rows.append((time_sec + 3, "eval", step, verdict_values))
    rows.append((wall_sec, "convert", 1000 + round(wall_sec), {}))
    return rows
