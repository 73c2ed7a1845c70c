"""Inference alone, one observation at a time on one core: each way of running a policy, and the core's memory as their limit."""

import contextlib
import dataclasses
import multiprocessing.context

import numpy as np

from tfquarl.core import errors
from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import inference_arm
from tfquarl.experiments import memory_reader
from tfquarl.experiments import worker as worker_lib
from tfquarl.metrics import plots
from tfquarl.metrics import table
from tfquarl.quantization import recipe as recipe_lib

TENSORFLOW = "tf.function float32"
TENSORFLOW_LITE = "TensorFlow's TFLite"
_WARM_UP_SEC = 0.2
_NUM_COMPARED = 32
# Largest difference between two ways of running the same random policy, as a share of its outputs' range.
_LARGEST_DIFFERENCE = 0.25


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
    """What is measured.

    Attributes:
      tasks: with their policies' sizes.
      recipes: that policies are made by.
      duration_sec: that each arm runs for on each task.
      slice_sec: of one turn.
    """

    tasks: tuple[benchmark_task.BenchmarkTask, ...]
    recipes: tuple[str, ...] = ("float32", "float16", "dynamic_wi8_afp32", "static_wi8_ai8")
    duration_sec: float = 2.0
    slice_sec: float = 0.2

    @property
    def num_rounds(self) -> int:
        """Slices of each arm."""
        return max(1, round(self.duration_sec / self.slice_sec))


def run(config: InferenceConfig, plot: str | None = None) -> list[table.BenchmarkRow]:
    """The rows of all tasks.

    Args:
      config: what is measured.
      plot: a PNG file for microseconds per inference, or None.

    Raises:
      ParityError: two ways of running the policy give different outputs.
      TfquarlError: a task, a recipe or a process that fails.
    """
    context = worker_lib.make_context(["tfquarl.runtime.interpreter"])
    rows = [row for task in config.tasks for row in _measure_task(config, task, context)]
    if plot is not None:
        times = [row for row in rows if row.metric == "time per inference"]
        lengths = {"inference": [row.value for row in times]}
        plots.stacked_bars([row.case for row in times], lengths, plot, "microseconds", "One inference on one core")
    return rows


def weight_bytes(task: benchmark_task.BenchmarkTask, recipe: str) -> int:
    """Bytes of the kernels that one inference by `recipe` reads; float16 is widened when it is loaded."""
    shapes = task.architecture().variable_shapes()
    count = sum(int(np.prod(shape)) for name, shape in shapes.items() if name.endswith("/kernel"))
    return count * (1 if recipe_lib.from_name(recipe).weight_bits == 8 else 4)


def _measure_task(
    config: InferenceConfig, task: benchmark_task.BenchmarkTask, context: multiprocessing.context.ForkServerContext
) -> list[table.BenchmarkRow]:
    observations = benchmark_task.collect_observations(task.name)
    with contextlib.ExitStack() as stack:
        arms = _start_arms(config, task, context, observations)
        for arm in arms.values():
            stack.enter_context(arm)
        for arm in arms.values():
            arm.run(_WARM_UP_SEC)
        _check_outputs({name: arm for name, arm in arms.items() if not name.startswith("reading")})
        measurement = alternation.alternate(arms, config.num_rounds, config.slice_sec)
    return _rows(config, task, measurement, list(arms))


def _start_arms(
    config: InferenceConfig,
    task: benchmark_task.BenchmarkTask,
    context: multiprocessing.context.ForkServerContext,
    observations: np.ndarray,
) -> dict[str, worker_lib.Worker]:
    """The processes of all arms, by name."""
    core = worker_lib.Cores.one_and_the_rest().measured
    artifacts = benchmark_task.make_artifacts(task, config.recipes, observations)
    architecture = task.architecture()
    variables = benchmark_task.make_snapshot(architecture).variables
    arms = {
        TENSORFLOW: worker_lib.Worker(
            context, core, inference_arm.make_tensorflow, architecture, variables, observations
        )
    }
    for recipe in config.recipes:
        model = artifacts[recipe].model
        arms[recipe] = worker_lib.Worker(context, core, inference_arm.make_own, model, observations)
        arms[_lite_name(recipe)] = worker_lib.Worker(
            context, core, inference_arm.make_tensorflow_lite, model, observations
        )
    for num_bytes in sorted({weight_bytes(task, recipe) for recipe in config.recipes}):
        arms[_reading_name(num_bytes)] = worker_lib.Worker(context, core, memory_reader.MemoryReader, num_bytes)
    return arms


def _lite_name(recipe: str) -> str:
    return f"{TENSORFLOW_LITE} {recipe}"


def _reading_name(num_bytes: int) -> str:
    return f"reading {num_bytes / 1e6:.3g} MB"


def _check_outputs(arms: dict[str, worker_lib.Worker]) -> None:
    """All arms must run the same policy; models that a runtime only seems to run give zeros or worse."""
    outputs = {name: np.array(arm.call("outputs", _NUM_COMPARED)) for name, arm in arms.items()}
    reference = outputs[TENSORFLOW]
    for name, values in outputs.items():
        difference = float(np.abs(values - reference).max() / np.ptp(reference))
        if not difference <= _LARGEST_DIFFERENCE:
            raise errors.ParityError(
                f"{name}: its outputs differ from {TENSORFLOW}'s by {difference:.3g} of their range, needs "
                f"{_LARGEST_DIFFERENCE} or less; does the runtime support the model?"
            )


def _rows(
    config: InferenceConfig,
    task: benchmark_task.BenchmarkTask,
    measurement: alternation.Measurement,
    names: list[str],
) -> list[table.BenchmarkRow]:
    rows = []
    for name in names:
        metric = "time per reading" if name.startswith("reading") else "time per inference"
        times = [1e6 / rate for rate in measurement.rates(name)]
        rows.append(alternation.median_row(f"{task.label} {name}", metric, times, "us"))
    for recipe in config.recipes:
        case = f"{task.label} {recipe}"
        references = [TENSORFLOW, _lite_name(recipe)]
        references += ["float32", _lite_name("float32")] if "float32" in config.recipes and recipe != "float32" else []
        rows += [measurement.ratio(case, f"speed over {other}", recipe, other) for other in references]
        reading = _reading_name(weight_bytes(task, recipe))
        rows.append(measurement.ratio(case, f"speed over {reading}", recipe, reading))
    return rows
