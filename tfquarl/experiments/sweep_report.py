"""A study of bit widths as a page: returns against bits with their bands, weight distributions, the table, and how it was made."""

from collections.abc import Mapping
from collections.abc import Sequence
import math
import pathlib
from typing import Any

from tfquarl.core import files
from tfquarl.experiments import sweep_plan
from tfquarl.experiments import sweep_table
from tfquarl.metrics import plots
from tfquarl.metrics import table
from tfquarl.quantization import recipe as recipe_lib

_LABELS = {"post-training": "after training", "trained": "trained for it"}


def write(plan: sweep_plan.SweepPlan, results: Sequence[Mapping[str, Any]], output: pathlib.Path, command: str) -> str:
    """Writes `output`.md, .csv, .json, _bits.png and _weights.png; the Markdown text.

    Args:
      plan: of the sweep.
      results: of its runs; one or more.
      output: path without suffix; its directory is made.
      command: that runs the sweep again.
    """
    rows = sweep_table.rows_of(results)
    means = sweep_table.means_of(rows)
    with files.storage_errors(f"making {output.parent}"):
        output.parent.mkdir(parents=True, exist_ok=True)
    plots.bands(bit_series(means), f"{output}_bits.png", "bits of a weight", "mean return", plan.name)
    plots.histograms(_weights(results), f"{output}_weights.png", "weight", plan.name)
    text = _markdown(plan, results, means, output.name, command)
    files.write_atomically(output.with_name(f"{output.name}.md"), text)
    files.write_atomically(output.with_name(f"{output.name}.csv"), sweep_table.to_csv(rows))
    files.write_json(output.with_name(f"{output.name}.json"), {"rows": rows, "means": means})
    return text


def bit_series(means: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float, float, float]]]:
    """(bits, mean, low, high) by the name of a line; lines of one recipe family are joined, float32 stands at 32 bits."""
    series: dict[str, list[tuple[float, float, float, float]]] = {}
    for mean in means:
        recipe = recipe_lib.from_name(mean["recipe"])
        point = (mean["return"], *(mean["return"] if math.isnan(mean[end]) else mean[end] for end in ("low", "high")))
        if recipe.widths is None:
            series.setdefault("float and other recipes", []).append((float(recipe.weight_bits), *point))
            continue
        same = (
            ""
            if recipe.widths.activations == recipe.widths.weights
            else f", {recipe.widths.activations}-bit activations"
        )
        ends = "" if (recipe.widths.inputs, recipe.widths.outputs) == (8, 8) else ", low-bit ends"
        units = ", per unit" if recipe.widths.per_channel else ""
        name = f"{_LABELS[mean['kind']]}{same}{ends}{units}"
        series.setdefault(name, []).append((float(recipe.widths.weights), *point))
    return {name: sorted(points) for name, points in series.items()}


def _weights(results: Sequence[Mapping[str, Any]]) -> dict[str, tuple[list[float], list[float]]]:
    """Edges and shares by layer, of the first run in float."""
    floats = [result for result in results if result["recipe"] == sweep_plan.BASELINE_RECIPE]
    chosen = (floats or list(results))[0]
    return {
        f"{row['layer']}: largest {row['largest']:.2g}, {row['largest_in_deviations'] or 0:.1f} deviations": (
            row["edges"],
            [count / max(1, sum(row["counts"])) for count in row["counts"]],
        )
        for row in chosen["weights"]
    }


def _markdown(
    plan: sweep_plan.SweepPlan,
    results: Sequence[Mapping[str, Any]],
    means: Sequence[Mapping[str, Any]],
    name: str,
    command: str,
) -> str:
    header, cells = sweep_table.summary_cells(means)
    machine = results[0]["machine"]
    commits = ", ".join(sorted({str(result["commit"]) for result in results}))
    spreads = [
        (row["layer"], row["largest"], row["deviation"], row["largest_in_deviations"]) for row in results[0]["weights"]
    ]
    lines = [
        f"# {plan.name}",
        "",
        f"{len(results)} runs on {machine['cores']} cores ({machine['cpu']}), seeds {', '.join(map(str, plan.seeds))}. Returns are of each",
        f"run's best policy over {plan.num_episodes} fresh episodes, the same ones for all policies of a run; intervals are over seeds.",
        "E is QuaRL's relative error, (float - quantized) / |float|: of a policy after training against its own float weights, of one",
        "that was trained quantized against the float run of its seed.",
        "",
        table.format_markdown(header, cells).rstrip(),
        "",
        f"![Return against bits]({name}_bits.png)",
        f"![Weights of a float policy]({name}_weights.png)",
        "",
        "Weights of the first run:",
        "",
        table.format_markdown(("layer", "largest", "standard deviation", "largest in deviations"), spreads).rstrip(),
        "",
        f"Command, at commit {commits}:",
        "",
        f"    {command}",
        "",
        f"Data: {name}.csv and {name}.json.",
        "",
    ]
    return "\n".join(lines)
