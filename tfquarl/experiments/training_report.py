"""Run directories in, one report out: a table of how the runs ended, their learning curves as PNG, and the data as JSON."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any
from typing import Literal

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.experiments import typed_command
from tfquarl.metrics import learning_curve
from tfquarl.metrics import names
from tfquarl.metrics import plots
from tfquarl.metrics import table
from tfquarl.program import archive
from tfquarl.program import artifact_file
from tfquarl.program import run_directory

_HEADER = (
    "seed",
    "status",
    "env steps",
    "train steps",
    "wall time (s)",
    "int8 return",
    "95% interval",
    "float32 return",
    "episodes",
    "bytes int8 / float32",
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One ended run.

    Attributes:
      summary: its summary.json.
      versions: its versions.json.
      int8: learning curve of the quantized policy.
      float32: of the float one.
    """

    summary: Mapping[str, Any]
    versions: Mapping[str, Any]
    int8: learning_curve.LearningCurve
    float32: learning_curve.LearningCurve

    @property
    def action_repeat(self) -> int:
        """Steps of the environment that each action was held for; runs counted actions."""
        return self.summary.get("action_repeat", 1)  # summaries of older runs have none


def read_run(path: pathlib.Path) -> Run:
    """Reads a run directory.

    Raises:
      ConfigError: it is none, or its run has not ended.
      ArtifactError: one of its files is damaged.
    """
    directory = run_directory.RunDirectory(path)
    metrics_file = directory.metrics_file
    return Run(
        directory.read_summary(),
        read_versions(path),
        learning_curve.read_learning_curve(metrics_file),
        learning_curve.read_learning_curve(metrics_file, names.FLOAT32_AVERAGE_RETURN),
    )


def read_versions(path: pathlib.Path) -> dict[str, Any]:
    """The versions.json of the run directory `path`.

    Raises:
      ArtifactError: it can't be read.
    """
    try:
        return json.loads((path / "versions.json").read_text())
    except (OSError, ValueError) as error:
        raise errors.ArtifactError(f"{path / 'versions.json'} can't be read: {error}; was it edited?") from error


def write_report(
    paths: Sequence[pathlib.Path], output: pathlib.Path, target: float | None = None, note: str = ""
) -> str:
    """Writes `output`.md, .json, _env_steps.png and _wall_time.png; the Markdown text.

    Args:
      paths: run directories of one experiment, that differ in their seed.
      output: path without suffix, in a directory that is there.
      target: a return to mark in the plots; None marks none.
      note: what a reader has to know of the runs besides, e.g. that other work shared the machine.

    Raises:
      ConfigError: there are no runs, or of several experiments or environments.
      ArtifactError, StorageError: a file can't be read or written.
    """
    runs = sorted((read_run(path) for path in paths), key=lambda run: run.summary["seed"])
    experiments = sorted({run.summary["experiment"] for run in runs})
    if len(experiments) != 1:
        raise errors.ConfigError(f"a report needs runs of one experiment, got {experiments or 'no runs'}")
    _check_environments(paths)
    axes: tuple[tuple[Literal["env_steps", "time_sec"], str], ...] = (
        ("env_steps", "_env_steps.png"),
        ("time_sec", "_wall_time.png"),
    )
    for axis, name in axes:
        # A line each: runs that stop at a target end at different places, and a mean over them would stop at the first.
        curves = {label: [_in_environment_steps(run)] for label, run in zip(_labels(runs), runs)}
        plots.learning_curves(curves, f"{output}{name}", axis, experiments[0], target)
    text = _markdown(experiments[0], runs, output.name, note)
    files.write_atomically(output.with_name(output.name + ".md"), text)
    files.write_json(output.with_name(output.name + ".json"), [_data(run) for run in runs])
    return text


def _labels(runs: Sequence[Run]) -> list[str]:
    """'int8, seed 1' of each run; 'int8, seed 1, row 2' of the table where several runs have that seed."""
    seeds = [run.summary["seed"] for run in runs]
    rows = [f", row {row}" if seeds.count(seed) > 1 else "" for row, seed in enumerate(seeds, 1)]
    return [f"int8, seed {seed}{row}" for seed, row in zip(seeds, rows)]


def _check_environments(paths: Sequence[pathlib.Path]) -> None:
    """A name of an experiment can be kept while its environment is bound anew."""
    found = {path: name for path in paths if (name := _environment(path)) is not None}
    if len(set(found.values())) > 1:
        told = ", ".join(f"{name} ({path})" for path, name in found.items())
        raise errors.ConfigError(f"a report needs runs of one environment, got {told}; make one of each")


def _environment(path: pathlib.Path) -> str | None:
    """That of the last policy; None where a run has kept none."""
    manifest = path / archive.POLICIES / "latest" / "manifest.json"
    return artifact_file.read_json(manifest)["environment"]["name"] if manifest.is_file() else None


def _markdown(experiment: str, runs: Sequence[Run], name: str, note: str) -> str:
    machine = runs[0].versions["machine"]
    packages = ", ".join(f"{package} {version}" for package, version in runs[0].versions["packages"].items())
    lines = [
        f"# {experiment}",
        "",
        f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} on {machine['cores']} cores ({machine['cpu']}, {', '.join(machine['flags'])}). Returns are of the",
        "best confirmed policy of each run, over fresh episodes that both policies met. Wall time includes start-up.",
        *([note] if note else []),
        *_repeats(runs),
        "",
        table.format_markdown(_HEADER, [_row(run) for run in runs]).rstrip(),
        "",
        f"![Return against environment steps]({name}_env_steps.png)",
        f"![Return against wall time]({name}_wall_time.png)",
        "",
        "The curves are of the int8 policy, each point at the time when it was published: first looks of few episodes, and confirmations of those",
        "that looked best.",
        "",
        "Commands, by seed, at commits "
        + ", ".join(sorted({run.versions["commit"] or "unknown" for run in runs}))
        + ":",
        "",
    ]
    lines += [f"    {command(run.versions)}" for run in runs]
    return "\n".join([*lines, "", f"Packages: {packages}.", f"Data: {name}.json.", ""])


def command(versions: Mapping[str, Any]) -> str:
    """A run's command by its versions.json, as it is typed, without the run directory, which is the user's choice."""
    return typed_command.line("train", typed_command.without(versions["command"][1:], ["root_dir"]))


def _repeats(runs: Sequence[Run]) -> list[str]:
    counts = sorted({run.action_repeat for run in runs})
    if counts == [1]:
        return []
    return [
        f"Env steps are the environment's own, {' or '.join(map(str, counts))} for each action; commands and data count actions."
    ]


def _in_environment_steps(run: Run) -> learning_curve.LearningCurve:
    return dataclasses.replace(run.int8, env_steps=run.int8.env_steps * run.action_repeat)


def _row(run: Run) -> list[str | float | None]:
    summary = run.summary
    int8, float32 = summary["int8"] or {}, summary["float32"] or {}
    low, high = int8.get("confidence_interval", (None, None))
    return [
        summary["seed"],
        summary["status"],
        summary["env_steps"] * run.action_repeat,
        summary["train_steps"],
        summary["wall_time_sec"],
        int8.get("mean_return"),
        None if low is None else f"{low:.1f} .. {high:.1f}",
        float32.get("mean_return"),
        int8.get("episodes"),
        f"{int8.get('size_bytes')} / {float32.get('size_bytes')}",
    ]


def _data(run: Run) -> dict[str, Any]:
    curves = {
        name: {field.name: getattr(curve, field.name).tolist() for field in dataclasses.fields(curve)}
        for name, curve in (("int8", run.int8), ("float32", run.float32))
    }
    return {"summary": run.summary, "versions": {**run.versions, "command": command(run.versions)}, "curves": curves}
