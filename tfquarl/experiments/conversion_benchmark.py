"""Conversion: a snapshot to a TFLite model by the template's way and by TFLiteConverter, one after the other on one core.

TFLiteConverter is called in two ways: in the leanest that there is, with a function of constants, and with a Keras model, as its guide
has it.
"""

from collections.abc import Sequence
import dataclasses
import multiprocessing.context

from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import conversion_arm
from tfquarl.experiments import worker as worker_lib
from tfquarl.metrics import statistics
from tfquarl.metrics import table


@dataclasses.dataclass(frozen=True)
class ConversionConfig:
    """What is measured.

    Attributes:
      tasks: with their policies' sizes.
      recipes: names.
      num_observations: of the calibration.
      num_snapshots: that each case converts by each way.
    """

    tasks: tuple[benchmark_task.BenchmarkTask, ...] = (
        benchmark_task.BenchmarkTask("dm_control:walker-walk", (256, 256, 256)),
        benchmark_task.BenchmarkTask("dm_control:walker-walk", (2048, 2048, 2048)),
    )
    recipes: tuple[str, ...] = ("float32", "float16", "dynamic_wi8_afp32", "static_wi8_ai8", "static_wi8_ai16")
    num_observations: int = 256
    num_snapshots: int = 7

    def __post_init__(self) -> None:
        if min(self.num_observations, self.num_snapshots) < 1:
            raise ValueError(
                f"got {self.num_observations} observations and {self.num_snapshots} snapshots, needs one of each"
            )


def run(config: ConversionConfig) -> list[table.BenchmarkRow]:
    """The rows of all tasks and recipes.

    Raises:
      TfquarlError: a task, a recipe or a process that fails.
    """
    context = worker_lib.make_context()
    return [
        row for task in config.tasks for recipe in config.recipes for row in _measure(config, task, recipe, context)
    ]


def _measure(
    config: ConversionConfig,
    task: benchmark_task.BenchmarkTask,
    recipe: str,
    context: multiprocessing.context.ForkServerContext,
) -> list[table.BenchmarkRow]:
    cores = worker_lib.Cores.one_and_the_rest().measured
    arguments = (task, recipe, config.num_observations)
    with worker_lib.Worker(context, cores, conversion_arm.ConversionArm, *arguments) as arm:
        prepare_sec, memory = arm.call("prepare"), arm.call("extra_memory")
        arm.call("warm_up")
        results = [arm.call("convert_by_all", 1 + i) for i in range(config.num_snapshots)]
    return make_rows(f"{task.label} {recipe}", prepare_sec, memory, results)


def make_rows(
    case: str, prepare_sec: float, memory: float, results: Sequence[conversion_arm.Comparison]
) -> list[table.BenchmarkRow]:
    """The rows of one case.

    Args:
      case: its name.
      prepare_sec: of the template.
      memory: that a conversion takes, as a multiple of the float model.
      results: of `ConversionArm.convert_by_all`.
    """
    fast, fast_cpu = [row.fast_sec for row in results], [row.fast_cpu_sec for row in results]
    reference, reference_cpu = [row.reference_sec for row in results], [row.reference_cpu_sec for row in results]
    keras, keras_cpu = [row.keras_sec for row in results], [row.keras_cpu_sec for row in results]
    return [
        _median_ms(case, "snapshot to model", fast),
        _median_ms(case, "processor time", fast_cpu),
        _median_ms(case, "variables prepared before", [row.preparation_sec for row in results]),
        *_against(case, "TFLiteConverter", (reference, reference_cpu), (fast, fast_cpu)),
        _share(case, "models equal byte for byte", [row.is_equal for row in results]),
        *_against(case, "from_keras_model", (keras, keras_cpu), (fast, fast_cpu)),
        _share(case, "dense layers equal from_keras_model's", [row.is_keras_equal for row in results]),
        table.BenchmarkRow(case, "extra memory, float model is 1", memory, "x"),
        table.BenchmarkRow(case, "template, once", prepare_sec, "s"),
    ]


def _against(
    case: str, name: str, theirs: tuple[Sequence[float], Sequence[float]], ours: tuple[Sequence[float], Sequence[float]]
) -> list[table.BenchmarkRow]:
    """Rows of another way, by wall time and processor time of both."""
    ratio = statistics.ratio_and_interval(theirs[0], ours[0])
    cpu_ratio = statistics.ratio_and_interval(theirs[1], ours[1])
    return [
        _median_ms(case, f"snapshot to model by {name}", theirs[0]),
        _median_ms(case, f"processor time of {name}", theirs[1]),
        table.BenchmarkRow(case, f"times faster than {name}", ratio.ratio, "x", ratio.low, ratio.high),
        table.BenchmarkRow(
            case, f"times less processor time than {name}", cpu_ratio.ratio, "x", cpu_ratio.low, cpu_ratio.high
        ),
    ]


def _median_ms(case: str, metric: str, seconds: Sequence[float]) -> table.BenchmarkRow:
    return alternation.median_row(case, metric, [1e3 * value for value in seconds], "ms")


def _share(case: str, metric: str, values: Sequence[bool]) -> table.BenchmarkRow:
    return table.BenchmarkRow(case, metric, 100 * sum(values) / len(values), "%")
