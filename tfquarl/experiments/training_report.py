"""Run directories in, one report out: a table of how the runs ended, their learning curves as PNG, and the data as JSON."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import Any
from typing import Literal

from tfquarl.core import errors
from tfquarl.experiments import kept_plan
from tfquarl.experiments import page
from tfquarl.experiments import provenance
from tfquarl.experiments import typed_command
from tfquarl.metrics import learning_curve
from tfquarl.metrics import names
from tfquarl.metrics import plots
from tfquarl.metrics import return_text
from tfquarl.metrics import table
from tfquarl.program import gin_loading
from tfquarl.program import run_directory


@dataclasses.dataclass(frozen=True)
class Run:
    """One ended run.

    Attributes:
      summary: its summary.json.
      versions: its versions.json.
      int8: learning curve of the policy by the run's recipe, whatever that is.
      float32: of the float policy of the same weights.
    """

    summary: Mapping[str, Any]
    versions: Mapping[str, Any]
    int8: learning_curve.LearningCurve
    float32: learning_curve.LearningCurve

    @property
    def recipe(self) -> str:
        """Of the best policy: the configuration's, or float32 where that could not hold it."""
        return self.summary["recipe"]

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
      paths: run directories of one experiment, that differ in their seed alone.
      output: path without suffix, in a directory that is there.
      target: a return to mark in the plots; None marks none.
      note: what a reader has to know of the runs besides, e.g. that other work shared the machine.

    Raises:
      ConfigError: there are no runs, or of several experiments or settings.
      ArtifactError, StorageError: a file can't be read or written.
    """
    found = sorted(((path, read_run(path)) for path in paths), key=lambda one: one[1].summary["seed"])
    runs = [run for _, run in found]
    experiments = sorted({run.summary["experiment"] for run in runs})
    if len(experiments) != 1:
        raise errors.ConfigError(f"a report needs runs of one experiment, got {experiments or 'no runs'}")
    _check_settings([path for path, _ in found])
    axes: tuple[tuple[Literal["env_steps", "time_sec"], str], ...] = (
        ("env_steps", "_env_steps.png"),
        ("time_sec", "_wall_time.png"),
    )
    for axis, name in axes:
        # A line each: runs that stop at a target end at different places, and a mean over them would stop at the first.
        curves = {label: [_in_environment_steps(run)] for label, run in zip(_labels(runs), runs)}
        plots.learning_curves(curves, f"{output}{name}", axis, experiments[0], target)
    text = _markdown(experiments[0], runs, output.name, note)
    page.write(output, text, [_data(run) for run in runs])
    return text


def _labels(runs: Sequence[Run]) -> list[str]:
    """'static_wi8_ai8, seed 1' of each run; 'static_wi8_ai8, seed 1, row 2' of the table where several runs have that seed."""
    seeds = [run.summary["seed"] for run in runs]
    rows = [f", row {row}" if seeds.count(seed) > 1 else "" for row, seed in enumerate(seeds, 1)]
    return [f"{run.recipe}, seed {seed}{row}" for run, seed, row in zip(runs, seeds, rows)]


def _check_settings(paths: Sequence[pathlib.Path]) -> None:
    """Runs of one name can be of another recipe, environment or learning rate: they are no seeds of one experiment."""
    settings = {path: _settings(path) for path in paths}
    different = []
    for name in dict.fromkeys(name for found in settings.values() for name in found):
        first_of: dict[str, pathlib.Path] = {}
        for path, found in settings.items():
            first_of.setdefault(found.get(name, "none"), path)
        if len(first_of) > 1:
            different.append(f"{name}: {', '.join(f'{value} ({path})' for value, path in first_of.items())}")
    if different:
        raise errors.ConfigError(
            f"a report needs runs that differ in their seed alone, got {'; '.join(different)}; make one report of each"
        )


def _settings(path: pathlib.Path) -> dict[str, str]:
    operative = run_directory.RunDirectory(path).operative_config_file
    settings = kept_plan.settings_of(gin_loading.load([str(operative.absolute())]).experiment)
    del settings["Experiment.seed"]
    return settings


def _markdown(experiment: str, runs: Sequence[Run], name: str, note: str) -> str:
    versions = [run.versions for run in runs]
    recipe = " or ".join(dict.fromkeys(run.recipe for run in runs))
    lines = [
        f"# {experiment}",
        "",
        f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} by recipe {recipe} on {provenance.machines(versions)}. Returns are of the",
        "best confirmed policy of each run, over fresh episodes that it and the float32 policy of the same weights met. Wall time includes start-up.",
        *([note] if note else []),
        *_repeats(runs),
        *_refused(runs),
        "",
        table.format_markdown(_header(recipe), [_row(run) for run in runs]).rstrip(),
        "",
        page.picture("Return against environment steps", f"{name}_env_steps.png"),
        page.picture("Return against wall time", f"{name}_wall_time.png"),
        "",
        f"The curves are of the {recipe} policy, each point at the time when it was published: first looks of few episodes, and confirmations of those",
        "that looked best.",
        "",
        f"Commands, by seed, at commits {provenance.commits(versions)}:",
        "",
    ]
    lines += [f"    {command(run.versions)}" for run in runs]
    return "\n".join([*lines, "", f"Packages: {provenance.packages(versions)}.", f"Data: {name}.json.", ""])


def _header(recipe: str) -> list[str]:
    return [
        "seed",
        "status",
        "env steps",
        "train steps",
        "wall time (s)",
        f"{recipe} return",
        "95% interval",
        "return of its float32 policy",
        "episodes",
        "bytes of both",
    ]


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


def _refused(runs: Sequence[Run]) -> list[str]:
    """Where parity refused policies, collectors did not act by the recipe that the page is about."""
    counts = [(run.summary["seed"], run.summary.get("num_parity_failures")) for run in runs]  # None in older summaries
    told = [f"{count} of seed {seed}" for seed, count in counts if count]
    if not told:
        return []
    return [
        f"Policies refused by parity: {', '.join(told)}; in their place collectors acted by float32, or by the policy before, as"
        " ParityConfig.on_failure says."
    ]


def _in_environment_steps(run: Run) -> learning_curve.LearningCurve:
    return dataclasses.replace(run.int8, env_steps=run.int8.env_steps * run.action_repeat)


def _row(run: Run) -> list[str | float | None]:
    summary = run.summary
    int8, float32 = summary["int8"] or {}, summary["float32"] or {}
    mean, low, high = int8.get("mean_return"), *int8.get("confidence_interval", (None, None))
    return [
        summary["seed"],
        summary["status"],
        summary["env_steps"] * run.action_repeat,
        summary["train_steps"],
        summary["wall_time_sec"],
        *return_text.cells(mean, low, high, unknown=""),
        table.Number(return_text.of(float32.get("mean_return"), unknown="")),
        int8.get("episodes"),
        f"{int8.get('size_bytes')} / {float32.get('size_bytes')}",
    ]


def _data(run: Run) -> dict[str, Any]:
    curves = {
        name: {field.name: getattr(curve, field.name).tolist() for field in dataclasses.fields(curve)}
        for name, curve in (("int8", run.int8), ("float32", run.float32))
    }
    return {"summary": run.summary, "versions": {**run.versions, "command": command(run.versions)}, "curves": curves}
