"""Collection: this project's collector, TF-Agents' own and the environment alone, in turns, against one Reverb server."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import multiprocessing.context

from tfquarl.core import records
from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import collector_arm
from tfquarl.experiments import environment_arm
from tfquarl.experiments import stock_agent
from tfquarl.experiments import stock_collector
from tfquarl.experiments import swap_benchmark
from tfquarl.experiments import worker as worker_lib
from tfquarl.metrics import plots
from tfquarl.metrics import table
from tfquarl.program import layout
from tfquarl.program import replay_server

STOCK = "TF-Agents"
NATIVE = "environment alone"
OWN_ENVIRONMENT = "environment as wrapped here"
STOCK_ENVIRONMENT = "environment as TF-Agents wraps it"
_WARM_UP_SEC = 0.5
_LEAD_IN_SEC = 0.2
_BREAKDOWN_SEC = 1.0
_SWAP_SEC = 3.0


@dataclasses.dataclass(frozen=True)
class CollectionConfig:
    """What is measured.

    Attributes:
      tasks: with their policies' sizes.
      recipes: of this project's collector.
      environments: numbers K of environments that it steps together.
      duration_sec: that each arm runs for on each task.
      slice_sec: of one turn.
      with_stock: whether TF-Agents' collector is measured too, on tasks of suites that it knows.
      with_environments: whether the environment alone is measured too.
      with_breakdown: whether the time of the parts of a step is measured too.
      with_swaps: whether the time of policy swaps is measured too.
    """

    tasks: tuple[benchmark_task.BenchmarkTask, ...]
    recipes: tuple[str, ...] = ("float32", "float16", "dynamic_wi8_afp32", "static_wi8_ai8")
    environments: tuple[int, ...] = (1, 8)
    duration_sec: float = 3.0
    slice_sec: float = 0.5
    with_stock: bool = True
    with_environments: bool = True
    with_breakdown: bool = True
    with_swaps: bool = True

    @property
    def num_rounds(self) -> int:
        """Slices of each arm."""
        return max(1, round(self.duration_sec / self.slice_sec))


def run(config: CollectionConfig, plot: str | None = None) -> list[table.BenchmarkRow]:
    """The rows of all tasks.

    Args:
      config: what is measured.
      plot: a PNG file for the breakdown per step, or None.

    Raises:
      TfquarlError: a task, a recipe or a process that fails.
    """
    context = worker_lib.make_context([name for task in config.tasks for name in layout.preload(task.name)])
    rows: list[table.BenchmarkRow] = []
    breakdowns: dict[str, Mapping[str, float]] = {}
    for task in config.tasks:
        task_rows, task_breakdowns = _measure_task(config, task, context)
        rows += task_rows
        breakdowns.update(task_breakdowns)
    if plot is not None and breakdowns:
        parts = {
            part: [breakdown[part] for breakdown in breakdowns.values()] for part in next(iter(breakdowns.values()))
        }
        plots.stacked_bars(
            list(breakdowns), parts, plot, "microseconds per environment step", "Where a collector's step goes"
        )
    return rows


def arm_name(recipe: str, num_environments: int) -> str:
    """Name of this project's collector with a recipe: 'static_wi8_ai8', 'static_wi8_ai8 K=8'."""
    return recipe if num_environments == 1 else f"{recipe} K={num_environments}"


def _measure_task(
    config: CollectionConfig, task: benchmark_task.BenchmarkTask, context: multiprocessing.context.ForkServerContext
) -> tuple[list[table.BenchmarkRow], dict[str, Mapping[str, float]]]:
    if task.name.partition(":")[0] not in stock_agent.SUITES:
        config = dataclasses.replace(config, with_stock=False)
    cores = worker_lib.Cores.one_and_the_rest()
    observations = benchmark_task.collect_observations(task.name)
    artifacts = benchmark_task.make_artifacts(task, config.recipes, observations)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            replay_server.ReplayServer(context, task.experiment(), task.spec, [stock_collector.TABLE], cores.beside)
        )
        arms = _start_arms(config, task, context, cores.measured, server.address, artifacts)
        for arm in arms.values():
            stack.enter_context(arm)
        for arm in arms.values():
            arm.run(_WARM_UP_SEC)
        measurement = alternation.alternate(arms, config.num_rounds, config.slice_sec, _LEAD_IN_SEC)
        breakdowns = {
            f"{task.label} {name}": arms[name].call("breakdown", _BREAKDOWN_SEC)
            for name in _own_names(config)
            if config.with_breakdown
        }
    rows = _rate_rows(task.label, measurement, list(arms)) + _ratio_rows(task.label, measurement, config)
    for case, breakdown in breakdowns.items():
        rows += [table.BenchmarkRow(case, f"{part} per step", value, "us") for part, value in breakdown.items()]
    if config.with_swaps:
        rows += swap_benchmark.measure(task, artifacts[config.recipes[-1]], context, cores, _SWAP_SEC)
    return rows, breakdowns


def _start_arms(
    config: CollectionConfig,
    task: benchmark_task.BenchmarkTask,
    context: multiprocessing.context.ForkServerContext,
    cores: frozenset[int],
    address: str,
    artifacts: Mapping[str, records.PolicyArtifact],
) -> dict[str, worker_lib.Worker]:
    """The processes of all arms, by name."""
    actions = benchmark_task.policy_actions(task, artifacts[config.recipes[-1]])
    arms = {
        name: worker_lib.Worker(context, cores, make, task.name, actions)
        for name, make in _environments(config).items()
    }
    if config.with_stock:
        variables = benchmark_task.make_snapshot(task.architecture()).variables
        arms[STOCK] = worker_lib.Worker(
            context, cores, stock_collector.make, task.name, task.hidden_sizes, variables, address
        )
    for count in config.environments:
        for recipe in config.recipes:
            arms[arm_name(recipe, count)] = worker_lib.Worker(
                context, cores, collector_arm.make, task.experiment(count), task.spec, address, artifacts[recipe]
            )
    return arms


def _environments(config: CollectionConfig) -> dict[str, Callable[..., environment_arm.EnvironmentArm]]:
    """What makes each arm that steps the environment alone."""
    if not config.with_environments:
        return {}
    own = {NATIVE: environment_arm.make_native, OWN_ENVIRONMENT: environment_arm.make_own}
    return {**own, STOCK_ENVIRONMENT: environment_arm.make_stock} if config.with_stock else own


def _own_names(config: CollectionConfig) -> list[str]:
    return [arm_name(recipe, count) for count in config.environments for recipe in config.recipes]


def _rate_rows(label: str, measurement: alternation.Measurement, names: Sequence[str]) -> list[table.BenchmarkRow]:
    rows = []
    for name in names:
        case = f"{label} {name}"
        rows.append(alternation.median_row(case, "steps per second", measurement.rates(name), "1/s"))
        rows.append(alternation.median_row(case, "processor time per step", measurement.cpu_us(name), "us"))
    return rows


def _ratio_rows(label: str, measurement: alternation.Measurement, config: CollectionConfig) -> list[table.BenchmarkRow]:
    """Each collector of this project over what it is compared with."""
    rows = []
    for count in config.environments:
        for recipe in config.recipes:
            name = arm_name(recipe, count)
            references = list(_environments(config)) + ([STOCK] if config.with_stock else [])
            base = arm_name("float32", count)
            references += [base] if "float32" in config.recipes and name != base else []
            references += [arm_name(recipe, 1)] if count != 1 and 1 in config.environments else []
            case = f"{label} {name}"
            rows += [measurement.ratio(case, f"speed over {other}", name, other) for other in references]
            if config.with_stock:
                rows.append(measurement.cpu_ratio(case, f"processor time below {STOCK}", STOCK, name))
    return rows
