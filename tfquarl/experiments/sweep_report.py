"""A study of bit widths as a page: returns and errors against bits with their bands, weights, the table, and how it was made."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any

from tfquarl.core import files
from tfquarl.experiments import page
from tfquarl.experiments import provenance
from tfquarl.experiments import sweep_plan
from tfquarl.experiments import sweep_table
from tfquarl.metrics import plots
from tfquarl.metrics import table
from tfquarl.quantization import recipe as recipe_lib

_LABELS = {"post-training": "after training", "trained": "trained for it"}
# What a policy of continuous actions is off by, or one of action values.
_ERRORS = {
    "action_error_mean_share": "mean action error, share of the range",
    "q_error_mean_share": "mean error of Q, share of its spread",
}
# Widths whose weight errors the table tells and the plot draws.
_SHOWN_BITS = ("8", "6", "4", "3")
_WEIGHT_HEADER = ("seed", "layer", "largest", "standard deviation", "largest in deviations")


def write(
    plan: sweep_plan.SweepPlan, results: Sequence[Mapping[str, Any]], output: pathlib.Path, commands: Sequence[str]
) -> str:
    """Writes `output`.md, .csv, .json, _bits.png, _errors.png, _weights.png and _ranges.png; the Markdown text.

    Args:
      plan: of the sweep.
      results: of its runs; one or more.
      output: path without suffix, in a directory that is there.
      commands: that run the sweep again.
    """
    rows = sweep_table.rows_of(results)
    means = sweep_table.means_of(rows)
    plots.bands(bit_series(means), f"{output}_bits.png", "bits of a weight", "mean return", plan.name)
    error, label = _error_of(means)
    errors = bit_series([mean for mean in means if mean["recipe"] != sweep_plan.BASELINE_RECIPE], error)
    plots.bands(errors, f"{output}_errors.png", "bits of a weight", label, plan.name, has_log_heights=True)
    floats = [result for result in results if result["recipe"] == sweep_plan.BASELINE_RECIPE] or list(results)
    plots.histograms(_weights(floats[0]), f"{output}_weights.png", "weight", plan.name)
    ranges = "largest weight of a layer, in standard deviations"
    label = "SQNR of its weights (dB)"
    plots.lines(_weight_errors(floats), f"{output}_ranges.png", ranges, label, plan.name, is_joined=False)
    text = _markdown(plan, results, floats, means, output.name, commands)
    files.write_atomically(output.with_name(f"{output.name}.csv"), sweep_table.to_csv(rows))
    page.write(output, text, {"rows": rows, "means": means, "weights": _weight_data(floats)})
    return text


def bit_series(
    means: Sequence[Mapping[str, Any]], figure: str = "return"
) -> dict[str, list[tuple[float, float, float, float]]]:
    """(bits, mean, least, greatest of the seeds) by the name of a line; lines of one recipe family are joined, float32 stands at 32 bits.

    Policies of different other bindings are on different lines.

    Args:
      means: of `sweep_table.means_of`.
      figure: which of their figures.
    """
    ends = ("least", "greatest") if figure == "return" else (f"{figure}_least", f"{figure}_greatest")
    series: dict[str, list[tuple[float, float, float, float]]] = {}
    for mean, bindings in zip(means, sweep_table.differing([mean["bindings"] for mean in means])):
        others = f", {bindings}" if bindings else ""
        recipe = recipe_lib.from_name(mean["recipe"])
        point = (mean[figure], mean[ends[0]], mean[ends[1]])
        if recipe.widths is None:
            series.setdefault(f"float and other recipes{others}", []).append((float(recipe.weight_bits), *point))
            continue
        same = (
            ""
            if recipe.widths.activations == recipe.widths.weights
            else f", {recipe.widths.activations}-bit activations"
        )
        low_ends = "" if (recipe.widths.inputs, recipe.widths.outputs) == (8, 8) else ", low-bit ends"
        units = ", per unit" if recipe.widths.per_channel else ""
        name = f"{_LABELS[mean['kind']]}{same}{low_ends}{units}{others}"
        series.setdefault(name, []).append((float(recipe.widths.weights), *point))
    return {name: sorted(points) for name, points in series.items()}


def _error_of(means: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The error that these policies have, and its label."""
    return next((name, label) for name, label in _ERRORS.items() if any(mean[name] is not None for mean in means))


def _weights(result: Mapping[str, Any]) -> dict[str, tuple[list[float], list[float]]]:
    """Edges and shares of a run's weights by layer."""
    return {
        f"{row['layer']}: largest {row['largest']:.2g}, {row['largest_in_deviations'] or 0:.1f} deviations": (
            row["edges"],
            [count / max(1, sum(row["counts"])) for count in row["counts"]],
        )
        for row in result["weights"]
    }


def _weight_errors(results: Sequence[Mapping[str, Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """How wide the weights of each layer are and what is left of them, by bits."""
    layers = [row for result in results for row in result["weights"] if row["largest_in_deviations"] is not None]
    widths = [row["largest_in_deviations"] for row in layers]
    return {f"{bits} bits": (widths, [row["sqnr_db"][bits] for row in layers]) for bits in _SHOWN_BITS}


def _weight_data(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each layer's weights by bindings and seed: their spread, what widths leave of them, and their histogram."""
    return [
        {"bindings": bindings, "seed": result["cell"]["seed"], **row}
        for result, bindings in zip(results, _bindings(results))
        for row in result["weights"]
    ]


def _bindings(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What distinguishes each run besides its seed."""
    return sweep_table.differing(["; ".join(result["cell"]["bindings"]) for result in results])


def _weight_table(results: Sequence[Mapping[str, Any]]) -> str:
    """A row for each layer of each run; with its bindings where they differ."""
    bindings = _bindings(results)
    differ = any(bindings)
    rows = [
        (
            *([own] if differ else []),
            *(result["cell"]["seed"], row["layer"], row["largest"], row["deviation"], row["largest_in_deviations"]),
            *(row["sqnr_db"][bits] for bits in _SHOWN_BITS),
        )
        for result, own in zip(results, bindings)
        for row in result["weights"]
    ]
    header = (*(["bindings"] if differ else []), *_WEIGHT_HEADER, *(f"{bits} bits" for bits in _SHOWN_BITS))
    return table.format_markdown(header, rows).rstrip()


def _markdown(
    plan: sweep_plan.SweepPlan,
    results: Sequence[Mapping[str, Any]],
    floats: Sequence[Mapping[str, Any]],
    means: Sequence[Mapping[str, Any]],
    name: str,
    commands: Sequence[str],
) -> str:
    header, cells = sweep_table.summary_cells(means)
    seeds = sorted({result["cell"]["seed"] for result in results})
    lines = [
        f"# {plan.name}",
        "",
        f"{len(results)} runs on {provenance.machines(results)}, seeds {', '.join(map(str, seeds))}. Returns are of each",
        f"run's best policy over {plan.num_episodes} fresh episodes, the same ones for all policies of a run; intervals are over seeds,",
        "Student's t for few of them, and may reach beyond what is possible.",
        "E is QuaRL's relative error, (float - quantized) / |float|: of a policy after training against its own float weights, of one",
        f"that was trained quantized against {sweep_table.baseline_of_trained(results)}.",
        "",
        table.format_markdown(header, cells).rstrip(),
        "",
        *(part for remark in sweep_table.step_remarks(means) for part in (remark, "")),
        "Bands of the plots reach from the least to the greatest of the seeds.",
        "",
        page.picture("Return against bits", f"{name}_bits.png"),
        page.picture("Errors against bits", f"{name}_errors.png"),
        page.picture("Weights of a float policy", f"{name}_weights.png"),
        page.picture("Errors of weights against their range", f"{name}_ranges.png"),
        "",
        "Weights of the float policies, and the signal to noise ratio in dB that one scale a layer leaves of them:",
        "",
        _weight_table(floats),
        "",
        f"{'Command' if len(commands) == 1 else 'Commands'}, at commit {provenance.commits(results)}:",
        "",
        *(f"    {command}" for command in commands),
        "",
        f"Data: {name}.csv and {name}.json.",
        "",
    ]
    return "\n".join(lines)
