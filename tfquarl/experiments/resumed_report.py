"""What runs that were stopped and gone on with came to, as a page and as JSON."""

from collections.abc import Sequence
import dataclasses
import pathlib

from tfquarl.core import files
from tfquarl.experiments import page
from tfquarl.experiments import provenance
from tfquarl.experiments import resumed_runs
from tfquarl.metrics import machine
from tfquarl.metrics import return_text
from tfquarl.metrics import statistics
from tfquarl.metrics import table

_HEADER = (
    "seed",
    "run",
    "gone on with",
    "env steps",
    "train steps",
    "int8 return",
    "95% interval",
    "wall time (s)",
)


def describe(outcomes: Sequence[resumed_runs.Outcome]) -> str:
    """A table of the runs, and a line for each kind of stop: how far its returns lie from those of plain runs."""
    return "\n".join([table.format_table(_HEADER, map(_row, outcomes)), *_difference_lines(outcomes)])


def write(outcomes: Sequence[resumed_runs.Outcome], output: pathlib.Path, command: str) -> None:
    """Writes `output`.md and .json.

    Args:
      outcomes: of all runs.
      output: path without suffix.
      command: that made them, as it is typed.

    Raises:
      StorageError: a file can't be written.
    """
    made_with = {"machine": machine.describe_machine(), "commit": machine.git_commit()}
    lines = [
        "# Runs that were stopped and gone on with",
        "",
        "A plain run, one that was interrupted (Ctrl-C) and one that was killed (SIGKILL of all its processes at once), each gone on with",
        "by the same command until its environment steps, over all of its parts, were used. Returns are of the last int8 policy, over fresh",
        "episodes. A killed run goes on from its last checkpoints: it loses train steps and experience since then, and no environment step",
        "of its count.",
        "",
        table.format_markdown(_HEADER, map(_row, outcomes)).rstrip(),
        "",
        *_difference_lines(outcomes),
        "",
        f"On {provenance.machines([made_with])}, at commit {provenance.commits([made_with])}, by:",
        "",
        f"    {command}",
        "",
        f"Data: {output.name}.json.",
        "",
    ]
    with files.storage_errors(f"making {output.parent}"):
        output.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": made_with["machine"],
        "versions": machine.package_versions() | {"commit": made_with["commit"]},
        "command": command,
        "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
        "less_plain": {arm: value.to_json() for arm, value in resumed_runs.differences(outcomes).items()},
    }
    page.write(output, "\n".join(lines), data)


def _row(outcome: resumed_runs.Outcome) -> list[str | float | None]:
    returns = return_text.cells(outcome.mean_return, outcome.low, outcome.high)
    counts = [outcome.num_resumes, outcome.env_steps, outcome.train_steps]
    return [outcome.seed, outcome.arm, *counts, *returns, outcome.wall_time_sec]


def _difference_lines(outcomes: Sequence[resumed_runs.Outcome]) -> list[str]:
    plain = [outcome.mean_return for outcome in outcomes if outcome.arm == resumed_runs.PLAIN]
    spread = f"Plain runs of different seeds: {return_text.interval(min(plain), max(plain), separator=' to ')}."
    return [spread, *(_line(arm, value, plain) for arm, value in resumed_runs.differences(outcomes).items())]


def _line(arm: str, value: statistics.MeanInterval, plain: Sequence[float]) -> str:
    mean = return_text.of(value.mean, value.low, value.high, *plain, signed=True)
    interval = return_text.interval(value.low, value.high, value.mean, *plain, signed=True)
    return f"{arm} less plain, mean over {value.count} seeds: {mean} ({interval})"
