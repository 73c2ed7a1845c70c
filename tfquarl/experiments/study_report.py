"""A study's runs in, its report out: the paper's table, learning curves against wall time, energy and carbon."""

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from tfquarl.experiments import page
from tfquarl.experiments import scaling_report
from tfquarl.experiments import study_plan
from tfquarl.experiments import study_results
from tfquarl.experiments import study_setting
from tfquarl.metrics import plots
from tfquarl.metrics import return_text
from tfquarl.metrics import statistics
from tfquarl.metrics import table
from tfquarl.program import study_config

_RETURNS = (
    "arm",
    "seeds",
    "final return",
    "95% interval",
    "of the last tenth",
    "95% interval",
    "wall time (s)",
    "to 90% of S (s)",
    "to 95% of S (s)",
)
_SPEEDUPS = (
    "arm",
    "wall time",
    "to 90%",
    "to 95%",
    "to 90%, steady",
    "to 95%, steady",
    "collectors' CPU per step",
    "collectors' energy",
    "energy of the run",
)
_SPEEDUPS_TITLE = (
    "How many times less than S, with the 95% interval over seeds; (k of n) where only k of n seeds tell: both arms have to get there,"
    " and their energy has to be found in the same way:"
)
_COSTS = (
    "arm",
    "env steps",
    "joules per run",
    "joules per env step",
    "of that collectors",
    "learner",
    "converter",
    "server",
    "evaluator",
    "the rest",
    "g CO2e",
    "bytes per policy",
)
_PARTS = ("task", "arm", *(f"{part} (us per env step)" for part in study_results.PARTS))
_ROLES = ("collector", "learner", "converter", "server", "evaluator")
_QUANTITIES = ("wall_sec", "collector_cpu_us", "collector_joules", "joules")


def write_report(root: pathlib.Path, output: pathlib.Path, scaling: Sequence[pathlib.Path] = ()) -> str:
    """Writes `output`.md, .json, _breakdown.png, for each task _<task>.png, and _scaling.png; the Markdown text.

    Args:
      root: of the study.
      output: path without suffix, in a directory that is there.
      scaling: roots of further studies of the same tasks with other numbers of collectors, which check the model of those.

    Raises:
      ConfigError: there are no runs.
      ArtifactError, StorageError: a file can't be read or written.
    """
    results = study_results.read(root)
    for result in results:
        curves = {arm: [outcome.run.int8 for outcome in outcomes] for arm, outcomes in result.outcomes.items()}
        target = result.threshold(study_results.SHARES[-1])
        plots.learning_curves(curves, f"{output}_{result.task}.png", "time_sec", result.task, target)
    _plot_breakdown(results, f"{output}_breakdown.png")
    others = [result for other in scaling for result in study_results.read(other)]
    scaling_lines, scaling_data = scaling_report.write(results, others, output)
    left_out = [run for path in (root, *scaling) for run in study_results.left_out(path)]
    text = _markdown(results, left_out, scaling_lines, output.name)
    page.write(output, text, {"tasks": [_data(result) for result in results], "scaling": scaling_data})
    return text


def _markdown(
    results: Sequence[study_results.TaskResult], left_out: Sequence[str], scaling_lines: Sequence[str], name: str
) -> str:
    lines = ["# Study of collectors", "", *study_setting.lines(results, left_out), ""]
    for result in results:
        lines += [f"## {result.task}", "", table.format_markdown(_RETURNS, _return_rows(result)).rstrip(), ""]
        if study_plan.STOCK in result.outcomes and len(result.outcomes) > 1:
            lines += [_SPEEDUPS_TITLE, ""]
            lines += [table.format_markdown(_SPEEDUPS, _speedup_rows(result)).rstrip(), ""]
        lines += [table.format_markdown(_COSTS, _cost_rows(result)).rstrip(), ""]
        lines += [page.picture("Return against wall time", f"{name}_{result.task}.png"), ""]
    means = _geometric_means(results)
    if means:
        lines += ["## Geometric means over tasks", "", table.format_markdown(_SPEEDUPS, means).rstrip(), ""]
    lines += scaling_lines
    lines += ["## Where a collector's time goes", "", table.format_markdown(_PARTS, _part_rows(results)).rstrip(), ""]
    lines += [page.picture("Where a collector's step goes", f"{name}_breakdown.png"), ""]
    return "\n".join([*lines, f"Data: {name}.json.", ""])


def _return_rows(result: study_results.TaskResult) -> list[list[str | float | None]]:
    rows: list[list[str | float | None]] = []
    for arm, outcomes in result.outcomes.items():
        returns = [*_mean_and_interval(result, arm, "final_return"), *_mean_and_interval(result, arm, "late_return")]
        times = [_times(result.times_to(arm, share)) for share in study_results.SHARES]
        wall = statistics.median_and_spread(result.values(arm, "wall_sec")).median
        rows.append([arm, len(outcomes), *returns, wall, *times])
    return rows


def _mean_and_interval(result: study_results.TaskResult, arm: str, quantity: str) -> tuple[table.Number, str]:
    found = statistics.mean_and_interval(result.values(arm, quantity))
    return return_text.cells(found.mean, found.low, found.high)


def _times(times: Sequence[float | None]) -> str:
    """'41.2', or '41.2 (2 of 3)' where not all got there."""
    reached = [value for value in times if value is not None]
    if not reached:
        return "never"
    text = f"{statistics.median_and_spread(reached).median:.1f}"
    return text if len(reached) == len(times) else f"{text} ({len(reached)} of {len(times)})"


def _ratios(result: study_results.TaskResult, arm: str) -> list[statistics.RatioInterval | None]:
    """In the order of `_SPEEDUPS`."""
    wall, *others = (result.ratio(arm, quantity) for quantity in _QUANTITIES)
    times = [seen.times_ratio(arm, share) for seen in (result, result.steadied()) for share in study_results.SHARES]
    return [wall, *times, *others]


def _speedup_rows(result: study_results.TaskResult) -> list[list[str | float | None]]:
    others = [arm for arm in result.outcomes if arm != study_plan.STOCK]
    return [[arm, *(_format_ratio(ratio, result.num_pairs(arm)) for ratio in _ratios(result, arm))] for arm in others]


def _format_ratio(ratio: statistics.RatioInterval | None, num_pairs: int) -> str:
    """'2.31', '2.31 (1.85 .. 3.13)' where more than one pair tells its interval, '2.31 (1.85 .. 3.13) (5 of 6)' where not all pairs count."""
    if ratio is None:
        return "--"
    interval = "" if ratio.low != ratio.low else f" ({ratio.low:.2f} .. {ratio.high:.2f})"
    left_out = "" if ratio.count == num_pairs else f" ({ratio.count} of {num_pairs})"
    return f"{ratio.ratio:.2f}{interval}{left_out}"


def _geometric_means(results: Sequence[study_results.TaskResult]) -> list[list[str | float | None]]:
    """Of the ratios of several tasks; no rows for a single one."""
    with_stock = [result for result in results if study_plan.STOCK in result.outcomes]
    if len(with_stock) < 2:
        return []
    rows: list[list[str | float | None]] = []
    for arm in study_config.ARMS:
        results_of_arm = [result for result in with_stock if arm in result.outcomes]
        if arm == study_plan.STOCK or not results_of_arm:
            continue
        num_pairs = sum(result.num_pairs(arm) for result in results_of_arm)
        columns = zip(*[_ratios(result, arm) for result in results_of_arm])
        rows.append([arm, *(_mean(column, len(with_stock), num_pairs) for column in columns)])
    return rows


def _mean(column: Sequence[statistics.RatioInterval | None], num_tasks: int, num_pairs: int) -> str:
    """'2.31', '2.31 (2 of 3 tasks, 8 of 12 pairs)' where not all count."""
    ratios = [ratio for ratio in column if ratio is not None]
    if not ratios:
        return "--"
    found = ((len(ratios), num_tasks, "tasks"), (sum(ratio.count for ratio in ratios), num_pairs, "pairs"))
    left_out = ", ".join(f"{count} of {total} {name}" for count, total, name in found if count != total)
    text = f"{statistics.geometric_mean([ratio.ratio for ratio in ratios]):.2f}"
    return f"{text} ({left_out})" if left_out else text


def _cost_rows(result: study_results.TaskResult) -> list[list[str | float | None]]:
    """Means over seeds."""
    rows: list[list[str | float | None]] = []
    for arm, outcomes in result.outcomes.items():
        count = len(outcomes)
        joules = sum(outcome.energy["joules"] for outcome in outcomes) / count
        roles = [sum(one.energy["joules_by_role"].get(role, 0.0) for one in outcomes) / count for role in _ROLES]
        steps = sum(outcome.run.summary["env_steps"] for outcome in outcomes) / count
        grams = 1000 * sum(outcome.energy["kg_co2e"] for outcome in outcomes) / count
        rest = max(0.0, joules - sum(roles))
        rows.append([arm, steps, joules, joules / steps, *roles, rest, grams, outcomes[0].policy_bytes])
    return rows


def _part_rows(results: Sequence[study_results.TaskResult]) -> list[list[str | float | None]]:
    """Means over seeds."""
    return [
        [result.task, arm, *(_mean_part(outcomes, part) for part in study_results.PARTS)]
        for result in results
        for arm, outcomes in result.outcomes.items()
    ]


def _mean_part(outcomes: Sequence[study_results.Outcome], part: str) -> float:
    return sum(outcome.breakdown_us[part] for outcome in outcomes) / len(outcomes)


def _plot_breakdown(results: Sequence[study_results.TaskResult], path: str) -> None:
    cases: list[str] = []
    parts: dict[str, list[float]] = {part: [] for part in study_results.PARTS}
    for result in results:
        for arm, outcomes in result.outcomes.items():
            cases.append(f"{result.task} {arm}")
            for part, lengths in parts.items():
                lengths.append(_mean_part(outcomes, part))
    plots.stacked_bars(cases, parts, path, "microseconds per environment step", "Where a collector's time goes")


def _data(result: study_results.TaskResult) -> dict[str, Any]:
    shares = {f"{share:.0%}": result.threshold(share) for share in study_results.SHARES}
    arms = {
        arm: {
            "runs": [_run_data(outcome) for outcome in outcomes],
            "time_to": {f"{share:.0%}": result.times_to(arm, share) for share in study_results.SHARES},
            "times_less_than_S": {
                name: None if ratio is None else ratio.to_json()
                for name, ratio in zip(_SPEEDUPS[1:], _ratios(result, arm))
            }
            if study_plan.STOCK in result.outcomes
            else None,
        }
        for arm, outcomes in result.outcomes.items()
    }
    return {"task": result.task, "floor_return": result.floor_return, "thresholds": shares, "arms": arms}


def _run_data(outcome: study_results.Outcome) -> dict[str, Any]:
    curve = outcome.run.int8
    return {
        "seed": outcome.seed,
        "summary": outcome.run.summary,
        "versions": outcome.run.versions,
        "breakdown_us_per_env_step": dict(outcome.breakdown_us),
        "parity": dataclasses.asdict(outcome.parity),
        "late_return": outcome.late_return,
        "late_return_in_float32": outcome.run.float32.late_return(),
        "curve": {"time_sec": curve.time_sec.tolist(), "returns": curve.returns.tolist()},
    }
