"""What the model of `scaling_model` needs, from the files of a run: processor time per environment step, start-up left out."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from tfquarl.experiments import scaling_model
from tfquarl.metrics import energy as energy_lib
from tfquarl.metrics import jsonl
from tfquarl.metrics import names

_MIN_WINDOW_SEC = 2.0
_CPU_PREFIX = f"{names.ROLE_CPU_SEC}_"
_PER_STEP = ("server", "converter")
_STEPPING = ("collector", "learner", *_PER_STEP)


@dataclasses.dataclass(frozen=True)
class Point:
    """One run, from its first row of energy after training began until the end of its collectors.

    Attributes:
      num_collectors: of the run.
      steps_per_sec: environment steps of all collectors per second of wall time.
      costs: for the model.
    """

    num_collectors: int
    steps_per_sec: float
    costs: scaling_model.StepCosts


def measure(rows: Sequence[jsonl.MetricRow], summary: Mapping[str, Any]) -> Point | None:
    """The figures of one run; None where it ended too soon after its training began, or keeps no CPU times.

    Args:
      rows: of its metrics.jsonl.
      summary: of it.
    """
    collectors = _collectors(rows)
    begun = [row.time_sec for row in rows if row.group == names.TRAIN and row.step > 0]
    energies = [
        row
        for row in rows
        if row.group == names.ENERGY
        and begun
        and row.time_sec >= begun[0]
        and any(name.startswith(_CPU_PREFIX) for name in row.values)
    ]
    if not energies or not collectors:
        return None
    first = energies[0]
    # A collector's last row comes when it has closed its writer, which may take a second without a step.
    end_sec = max(float(times[counts == counts[-1]][0]) for times, counts in collectors.values())
    steps = sum(counts[-1] - np.interp(first.time_sec, times, counts) for times, counts in collectors.values())
    window_sec = end_sec - first.time_sec
    if window_sec < _MIN_WINDOW_SEC or steps <= 0:
        return None
    spent = _cpu_sec(energies, summary, summary["energy"]["wall_sec"])
    # What works beside the steps does so until its own end; where policies wait for their verdicts the evaluator has the cores to
    # itself afterwards.
    beside = _cpu_sec(energies, summary, end_sec)
    costs = scaling_model.StepCosts(
        collector=spent.get("collector", 0.0) / steps,
        learner=spent.get("learner", 0.0) / steps,
        others=sum(spent.get(role, 0.0) for role in _PER_STEP) / steps,
        beside=sum(seconds for role, seconds in beside.items() if role not in _STEPPING) / window_sec,
        startup_sec=min(float(times[counts > 0][0]) for times, counts in collectors.values() if counts[-1] > 0),
    )
    if costs.collector <= 0 or costs.learner <= 0:
        return None
    return Point(len(collectors), float(steps) / window_sec, costs)


def _collectors(rows: Sequence[jsonl.MetricRow]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times and environment steps of the rows of each collector."""
    found: dict[str, list[tuple[float, int]]] = {}
    for row in rows:
        if row.group.startswith(f"{names.COLLECT}/"):
            found.setdefault(row.group, []).append((row.time_sec, row.step))
    return {group: (np.array([t for t, _ in pairs]), np.array([n for _, n in pairs])) for group, pairs in found.items()}


def _cpu_sec(energies: Sequence[jsonl.MetricRow], summary: Mapping[str, Any], end_sec: float) -> dict[str, float]:
    """CPU seconds by role from the first of these rows until `end_sec`; between two rows they are taken to go evenly."""
    total: dict[str, float] = {}
    for process, seconds in summary["energy"]["cpu_sec_by_process"].items():
        role = energy_lib.role_of(process)
        total[role] = total.get(role, 0.0) + seconds
    times = [*(row.time_sec for row in energies), max(summary["energy"]["wall_sec"], energies[-1].time_sec)]
    spent: dict[str, float] = {}
    for role, seconds in total.items():
        values = [*(row.values.get(_CPU_PREFIX + role, 0.0) for row in energies), seconds]
        spent[role] = max(0.0, float(np.interp(end_sec, times, values)) - values[0])
    return spent
