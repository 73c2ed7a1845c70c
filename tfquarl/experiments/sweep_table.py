"""Results of a sweep as one tidy table: a row for each policy that was judged, and their means over the seeds."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import csv
import io
import pathlib
from typing import Any

from tfquarl.core import files
from tfquarl.experiments import recipe_study
from tfquarl.experiments import sweep_plan
from tfquarl.metrics import return_text
from tfquarl.metrics import statistics
from tfquarl.metrics import table

# Numbers of steps that lie further apart are told.
_LARGEST_DIFFERENCE = 0.05
_STEPS = ("env_steps", "train_steps")
_FIGURES = ("action_error_mean_share", "greedy_agreement", "q_error_mean_share", "regret_share")
COLUMNS = (
    "bindings",
    "seed",
    "kind",
    "recipe",
    "mean_return",
    "low",
    "high",
    "episodes",
    "float_return",
    "relative_error",
    *_FIGURES,
    "model_bytes",
    "packed_bytes",
    "env_steps",
    "train_steps",
    "wall_time_sec",
)


def rows_of(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the columns `COLUMNS`; None where a figure does not apply.

    A policy after training is compared with its own float weights. One that was trained quantized is compared with the float policy of
    the run with recipe 'float32', the same other bindings and the same seed: with none where that run is missing, and with its own float
    weights where no seed has such a run.
    """
    results = list(results)
    baselines = _baselines(results)
    rows = []
    for result in results:
        by_seed = baselines.get(_other_bindings(result))
        baseline = _float_return(result) if by_seed is None else by_seed.get(result["cell"]["seed"])
        for row in result["rows"]:
            if row["kind"] == "trained" and row["recipe"] == sweep_plan.BASELINE_RECIPE:
                continue  # the same model as its 'float' row
            if row["kind"] == "float" and result["recipe"] != sweep_plan.BASELINE_RECIPE:
                continue  # float weights that were never meant to run
            full = {**row, **{name: result["summary"].get(name) for name in COLUMNS[-3:]}}
            full |= {"bindings": "; ".join(result["cell"]["bindings"]), "seed": result["cell"]["seed"]}
            full["float_return"] = baseline
            full["relative_error"] = (
                None if baseline is None else recipe_study.relative_error(baseline, row["mean_return"])
            )
            rows.append({name: full.get(name) for name in COLUMNS})
    return rows


def baseline_of_trained(results: Sequence[Mapping[str, Any]]) -> str:
    """What `rows_of` compares policies with that were trained quantized, in a few words."""
    baselines = _baselines(results)
    has_run = {_other_bindings(one) in baselines for one in results if one["recipe"] != sweep_plan.BASELINE_RECIPE}
    if has_run == {False}:
        return "its own too"
    other = ", or its own where no float run has its other bindings" if False in has_run else ""
    return f"the float run of its seed{other}"


def _baselines(results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], dict[int, float]]:
    """Returns of the float runs by their other bindings, then by seed."""
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for result in results:
        if result["recipe"] == sweep_plan.BASELINE_RECIPE:
            found.setdefault(_other_bindings(result), {})[result["cell"]["seed"]] = _float_return(result)
    return found


def _other_bindings(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The bindings that distinguish a run, without its recipe and how it is trained for that."""
    own = ("ConverterConfig.recipe", "QuantizationAwareConfig.")
    return tuple(binding for binding in result["cell"]["bindings"] if not binding.startswith(own))


def _float_return(result: Mapping[str, Any]) -> float:
    """Mean return of the run's float policy."""
    return next(row["mean_return"] for row in result["rows"] if row["kind"] == "float")


def means_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean over the seeds of each policy kind: 'kind', 'recipe', 'bindings', 'return', 'low', 'high', 'relative_error', 'seeds' and figures.

    'compared_seeds' are those that 'relative_error' is over.
    Intervals are of 95 %, over seeds: 'low' and 'high' of the return, '<figure>_low' and '<figure>_high' of the others. Beside them the
    range over seeds, 'least' and 'greatest': three seeds' intervals are too wide to draw.
    """
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        other = "; ".join(part for part in row["bindings"].split("; ") if "ConverterConfig.recipe" not in part)
        groups.setdefault((row["kind"], row["recipe"], other), []).append(row)
    means = []
    for (kind, recipe, other), members in groups.items():
        returns = [member["mean_return"] for member in members]
        interval = statistics.mean_and_interval(returns)
        mean: dict[str, Any] = {"kind": kind, "recipe": recipe, "bindings": other, "seeds": len(members)}
        mean |= {"return": interval.mean, "low": interval.low, "high": interval.high}
        mean |= {"least": min(returns), "greatest": max(returns)}
        mean["compared_seeds"] = sum(member["relative_error"] is not None for member in members)
        for name in ("relative_error", *_FIGURES, *_STEPS, "model_bytes", "packed_bytes"):
            mean |= _mean_figure(name, [member[name] for member in members if member[name] is not None])
        means.append(mean)
    return means


def differing(bindings: Sequence[str]) -> list[str]:
    """Each of these texts of bindings without those that are in all of them."""
    parts = [text.split("; ") for text in bindings]
    shared = set.intersection(*map(set, parts)) if parts else set()
    return ["; ".join(part for part in own if part not in shared) for own in parts]


def _mean_figure(name: str, values: Sequence[float]) -> dict[str, float | None]:
    ends = ("", "_low", "_high", "_least", "_greatest")
    if not values:
        return {name + end: None for end in ends}
    interval = statistics.mean_and_interval(values)
    found = (interval.mean, interval.low, interval.high, min(values), max(values))
    return {name + end: value for end, value in zip(ends, found)}


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV with a header."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[name] for name in COLUMNS] for row in rows)
    return target.getvalue()


def summary_cells(means: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str | float | None]]]:
    """Header and cells of the table that people read."""
    figures = [name for name in _FIGURES if any(mean[name] is not None for mean in means)]
    others = any(mean["bindings"] for mean in means)
    header = ["policy", "recipe", *(["bindings"] if others else []), "return", "95% interval", "E", "seeds", *figures]
    cells: list[list[str | float | None]] = []
    for mean in means:
        returns = return_text.cells(mean["return"], mean["low"], mean["high"])
        error = None if mean["relative_error"] is None else f"{100 * mean['relative_error']:+.1f} %"
        if error is not None and mean["compared_seeds"] < mean["seeds"]:
            error += f" ({mean['compared_seeds']} of {mean['seeds']})"
        cell: list[str | float | None] = [mean["kind"], mean["recipe"], *([mean["bindings"]] if others else [])]
        cells.append([*cell, *returns, error, mean["seeds"], *(mean[name] for name in figures)])
    return header, cells


def step_remarks(means: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each kind of steps of which some policies were trained with more than others: no returns to compare unawares.

    Args:
      means: of `means_of`.
    """
    remarks = []
    for name in _STEPS:
        counts = {_label(mean): mean[name] for mean in means if mean[name] is not None}
        least, most = min(counts, key=counts.__getitem__, default=""), max(counts, key=counts.__getitem__, default="")
        if counts and counts[most] > (1 + _LARGEST_DIFFERENCE) * counts[least]:
            remarks.append(
                f"Policies have different {name.replace('_', ' ')}, so that returns and E compare more than the policies' settings:"
                f" from {counts[least]:,.0f} ({least}) to {counts[most]:,.0f} ({most})."
            )
    return remarks


def _label(mean: Mapping[str, Any]) -> str:
    return "; ".join(part for part in (mean["recipe"], mean["bindings"]) if part)


def write(directory: pathlib.Path, results: Sequence[Mapping[str, Any]]) -> str:
    """Writes results.csv and results.json into `directory`; the table for people, and `step_remarks` below it."""
    rows = rows_of(results)
    means = means_of(rows)
    files.write_atomically(directory / "results.csv", to_csv(rows))
    files.write_json(directory / "results.json", {"rows": rows, "means": means})
    header, cells = summary_cells(means)
    return "\n".join([table.format_table(header, cells), *step_remarks(means)])
