"""The part of a study's report that tells how the arms compare with more collectors per learner: measured here, modelled beyond."""

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from tfquarl.experiments import page
from tfquarl.experiments import scaling_model
from tfquarl.experiments import study_plan
from tfquarl.experiments import study_results
from tfquarl.metrics import plots
from tfquarl.metrics import table

NUM_COLLECTORS = (1, 2, 4, 8, 16, 32, 64)
_CHECK = ("arm", "collectors", "runs", "measured steps/s", "model steps/s", "model / measured", "held there by")
_STOCK_COLUMNS = ("collectors", "S steps/s", "held there by")


@dataclasses.dataclass(frozen=True)
class _Arm:
    """The runs of one arm with one number of collectors: means over seeds."""

    num_collectors: int
    num_runs: int
    steps_per_sec: float
    costs: scaling_model.StepCosts
    env_steps: float
    cores: int


def write(
    studied: Sequence[study_results.TaskResult], others: Sequence[study_results.TaskResult], output: pathlib.Path
) -> tuple[list[str], dict[str, Any]]:
    """Markdown lines and data by task, and `output`_scaling.png; nothing where no task has runs of S that are long enough.

    Args:
      studied: whose costs the model takes.
      others: of the same tasks with other numbers of collectors, to check the model with.
      output: of the report, without suffix.
    """
    lines: list[str] = []
    data: dict[str, Any] = {}
    series: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for result in studied:
        arms = _arms(result)
        if study_plan.STOCK not in arms or len(arms) < 2:
            continue
        measured = {arm: [one, *_others(others, result.task, arm)] for arm, one in arms.items()}
        lines += [f"### {result.task}", "", *_task_lines(arms, measured)]
        data[result.task] = _data(arms, measured)
        for arm in arms:
            if arm != study_plan.STOCK:
                series[f"{result.task} {arm}"] = (NUM_COLLECTORS, [_wall_ratio(arms, arm, n) for n in NUM_COLLECTORS])
    if not lines:
        return [], {}
    name = f"{output.name}_scaling.png"
    title = "Wall time of S over that of an arm, a core for each process (model)"
    plots.lines(series, output.with_name(name), "collectors per learner", "times less wall time", title, "x")
    return [*_introduction(), *lines, page.picture("Ratio by number of collectors", name), ""], data


def _introduction() -> list[str]:
    return [
        "## More collectors per learner",
        "",
        "Model: env steps/s = min(N / collector, 1 / learner, (cores - beside) / (collector + learner + others)), by CPU seconds per",
        "environment step, of the runs of this study from the first row of energy after training began; `beside` is what evaluator and",
        "launcher take in CPU seconds per second. Wall time is the start-up measured plus steps over that. First its check on this machine's",
        "cores, then its prediction with a core for each process, where the last term falls away.",
        "",
    ]


def _task_lines(arms: dict[str, _Arm], measured: dict[str, list[_Arm]]) -> list[str]:
    own = [arm for arm in arms if arm != study_plan.STOCK]
    header = [*_STOCK_COLUMNS, *(column for arm in own for column in (f"{arm} times less wall time", "held there by"))]
    saturating = ", ".join(f"{arm} {one.costs.saturating_collectors:.2g}" for arm, one in arms.items())
    return [
        table.format_markdown(_CHECK, _check_rows(measured)).rstrip(),
        "",
        f"Collectors that keep the learner busy, with a core each: {saturating}.",
        "",
        table.format_markdown(header, [_prediction(arms, own, count) for count in NUM_COLLECTORS]).rstrip(),
        "",
    ]


def _arms(result: study_results.TaskResult) -> dict[str, _Arm]:
    found: dict[str, _Arm] = {}
    for arm, outcomes in result.outcomes.items():
        pairs = [(outcome, outcome.scaling) for outcome in outcomes if outcome.scaling is not None]
        if pairs:
            points = [point for _, point in pairs]
            found[arm] = _Arm(
                points[0].num_collectors,
                len(points),
                sum(point.steps_per_sec for point in points) / len(points),
                scaling_model.mean([point.costs for point in points]),
                sum(outcome.run.summary["env_steps"] for outcome, _ in pairs) / len(pairs),
                pairs[0][0].run.versions["machine"]["cores"],
            )
    return found


def _others(others: Sequence[study_results.TaskResult], task: str, arm: str) -> list[_Arm]:
    found = [arms[arm] for result in others if result.task == task and arm in (arms := _arms(result))]
    return sorted(found, key=lambda one: one.num_collectors)


def _check_rows(measured: dict[str, list[_Arm]]) -> list[list[str | float | None]]:
    rows: list[list[str | float | None]] = []
    for arm, (studied, *others) in measured.items():
        for one in (studied, *others):
            model = scaling_model.rate(studied.costs, one.num_collectors, one.cores)
            ratio = f"{model.steps_per_sec / one.steps_per_sec:.2f}"
            name = arm if one is studied else f"{arm} (not in the model)"
            rows.append(
                [name, one.num_collectors, one.num_runs, one.steps_per_sec, model.steps_per_sec, ratio, model.limit]
            )
    return rows


def _prediction(arms: dict[str, _Arm], own: Sequence[str], count: int) -> list[str | float | None]:
    stock = scaling_model.rate(arms[study_plan.STOCK].costs, count)
    row: list[str | float | None] = [count, stock.steps_per_sec, stock.limit]
    for arm in own:
        limit = scaling_model.rate(arms[arm].costs, count).limit
        row += [f"{_wall_ratio(arms, arm, count):.2f}", limit]
    return row


def _wall_ratio(arms: dict[str, _Arm], arm: str, count: int) -> float:
    """Of S to the arm, for the number of steps that S makes."""
    stock = arms[study_plan.STOCK]
    steps = round(stock.env_steps)
    return scaling_model.wall_sec(stock.costs, count, steps) / scaling_model.wall_sec(arms[arm].costs, count, steps)


def _data(arms: dict[str, _Arm], measured: dict[str, list[_Arm]]) -> dict[str, Any]:
    return {
        arm: {
            "measured": [dataclasses.asdict(one) for one in measured[arm]],
            "predicted_with_a_core_each": [
                {
                    "num_collectors": count,
                    **dataclasses.asdict(scaling_model.rate(one.costs, count)),
                    "wall_time_ratio": _wall_ratio(arms, arm, count),
                }
                for count in NUM_COLLECTORS
            ],
        }
        for arm, one in arms.items()
    }
