"""One run of a sweep in a process of its own: trains, judges what came of it on fresh episodes, and leaves result.json.

python -m tfquarl.experiments.sweep_cell <directory with cell.json>
"""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
import pathlib
import shutil
import sys
from typing import Any

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.experiments import recipe_study
from tfquarl.experiments import sweep_plan
from tfquarl.program import budget
from tfquarl.program import command_line
from tfquarl.program import evaluation
from tfquarl.program import run_directory
from tfquarl.program import training

CELL, RESULT, RUN, LOG = "cell.json", "result.json", "run", "log.txt"


def write_request(directory: pathlib.Path, plan: sweep_plan.SweepPlan, cell: sweep_plan.Cell) -> None:
    """Makes `directory` anew with what `main` needs; what an unfinished run left there is removed.

    Raises:
      ConfigError: a run is writing there.
      StorageError: it can't be made or written.
    """
    run_directory.RunDirectory(directory / RUN).remove()
    with files.storage_errors(f"making {directory}"):
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
    request = {"plan": dataclasses.asdict(plan), "cell": dataclasses.asdict(cell)}
    files.write_json(directory / CELL, request)


def read_result(directory: pathlib.Path) -> dict[str, Any] | None:
    """What a finished run left; None where there is none."""
    try:
        return dict(json.loads((directory / RESULT).read_text()))
    except (OSError, ValueError):
        return None


def read_others(directory: pathlib.Path, results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What finished runs left in a sweep's directory besides `results`: those of earlier commands, by name."""
    known = {result["cell"]["name"] for result in results}
    names = sorted(path.parent.name for path in directory.glob(f"*/{RESULT}") if path.parent.name not in known)
    return [result for name in names if (result := read_result(directory / name)) is not None]


def run(directory: pathlib.Path) -> int:
    """Runs the cell of `directory`; 0, or `command_line.INTERRUPTED` where it was interrupted.

    Raises:
      TfquarlError: the run failed.
    """
    plan, cell = _read_request(directory)
    loaded = plan.load(cell)
    result = training.run(loaded, str(directory / RUN))
    if result.status is budget.Status.INTERRUPTED:
        return command_line.INTERRUPTED
    recipe = loaded.experiment.converter.recipe
    tried = plan.post_training_recipes if recipe == sweep_plan.BASELINE_RECIPE else ()
    rows = recipe_study.study(
        directory / RUN, tried, plan.num_episodes, plan.num_observations, evaluation.FRESH_SEED + cell.seed
    )
    versions = json.loads((directory / RUN / "versions.json").read_text())
    files.write_json(
        directory / RESULT,
        {
            "cell": dataclasses.asdict(cell),
            "recipe": recipe,
            "summary": dict(result.summary),
            "rows": rows,
            "weights": recipe_study.weight_spreads(directory / RUN),
            "commit": versions["commit"],
            "machine": versions["machine"],
        },
    )
    return 0


def _read_request(directory: pathlib.Path) -> tuple[sweep_plan.SweepPlan, sweep_plan.Cell]:
    request = json.loads((directory / CELL).read_text())
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in request["plan"].items()
    }
    cell = request["cell"]
    return sweep_plan.SweepPlan(**fields), sweep_plan.Cell(cell["name"], tuple(cell["bindings"]), cell["seed"])


def main() -> int:
    """Runs the cell that the command line names; the exit code."""
    try:
        return run(pathlib.Path(sys.argv[1]))
    except errors.TfquarlError as error:
        os.write(2, f"error: {error}\n".encode())
        return 1


if __name__ == "__main__":
    sys.exit(main())
