"""The benchmark suites by name, and what a command line may choose of each."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from tfquarl.core import errors
from tfquarl.core import output_paths
from tfquarl.experiments import benchmark_task
from tfquarl.metrics import table
from tfquarl.quantization import recipe as recipe_lib


@dataclasses.dataclass(frozen=True)
class Choice:
    """What the user chose; None leaves it to the suite.

    Attributes:
      tasks: names of environments.
      hidden_sizes: units of the policies' hidden layers.
      recipes: names of quantization recipes.
      duration_sec: seconds that each side runs for in each case.
      num_collectors: numbers of collectors that work together.
      plot: a PNG file.
      policies: directories of runs or of policies.
    """

    tasks: Sequence[str] | None = None
    hidden_sizes: Sequence[tuple[int, ...]] | None = None
    recipes: Sequence[str] | None = None
    duration_sec: float | None = None
    num_collectors: Sequence[int] | None = None
    plot: str | None = None
    policies: Sequence[str] | None = None

    def benchmark_tasks(
        self, tasks: Sequence[str], hidden_sizes: Sequence[tuple[int, ...]]
    ) -> tuple[benchmark_task.BenchmarkTask, ...]:
        """Every task with every size, from these defaults where nothing was chosen."""
        return tuple(
            benchmark_task.BenchmarkTask(task, sizes)
            for sizes in (self.hidden_sizes or hidden_sizes)
            for task in (self.tasks or tasks)
        )

    def given(self, *names: str) -> dict[str, Any]:
        """The chosen ones of these attributes, by name."""
        chosen = {name: getattr(self, name) for name in names}
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in chosen.items()
            if value is not None
        }


def parse_numbers(flag: str, text: str, example: str) -> tuple[int, ...]:
    """'256,256,256' as (256, 256, 256).

    Args:
      flag: the name of what the user gave, for the message.
      text: what the user gave.
      example: of what is needed, for the message.

    Raises:
      ConfigError: something else.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise errors.ConfigError(f"{flag} is '{text}', needs positive numbers with commas between, like {example}")
    return numbers


def run(name: str, choice: Choice, output: str | None = None) -> list[table.BenchmarkRow]:
    """Runs one suite, prints its table and, where `output` is given, writes its figures as JSON; the rows.

    Raises:
      ConfigError: an unknown recipe, a choice that the suite doesn't have, or no directory for a file; all before it begins.
      TfquarlError: an unknown task, a process that fails, or a file that can't be written.
    """
    suite = SUITES[name]
    for field in dataclasses.fields(choice):
        if getattr(choice, field.name) is not None and field.name not in suite.takes:
            taken = ", ".join(f"--{other}" for other in suite.takes)
            raise errors.ConfigError(f"suite '{name}' has no --{field.name}; it takes {taken}")
    for recipe in choice.recipes or ():
        recipe_lib.from_name(recipe)
    for flag, path in (("output", output), ("plot", choice.plot)):
        if path is not None:
            output_paths.check_file(flag, path)
    rows = suite.run(choice)
    table.benchmark_report(name, rows, output)
    return rows


# Those of QuaRL's ActorQ for which there are figures.
ELEVEN_TASKS = (
    "gym:CartPole-v1",
    "gym:Acrobot-v1",
    "gym:MountainCar-v0",
    "dm_control:cartpole-balance",
    "dm_control:walker-stand",
    "dm_control:hopper-stand",
    "dm_control:cheetah-run",
    "dm_control:reacher-hard",
    "dm_control:finger-spin",
    "dm_control:humanoid-stand",
    "dm_control:humanoid-walk",
)
_THROUGHPUT_SEC = 5.0
_SMALL, _WIDE = (256, 256, 256), (2048, 2048, 2048)


def _collection(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.experiments import collection_benchmark

    tasks = choice.benchmark_tasks(("gym:CartPole-v1", "dm_control:cheetah-run"), (_SMALL,))
    config = collection_benchmark.CollectionConfig(tasks, **choice.given("recipes", "duration_sec"))
    return collection_benchmark.run(config, choice.plot)


def _throughput(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.experiments import collection_benchmark

    config = collection_benchmark.CollectionConfig(
        choice.benchmark_tasks(ELEVEN_TASKS, (_WIDE,)),
        environments=(1,),
        with_environments=False,
        with_breakdown=choice.plot is not None,
        with_swaps=False,
        **{"duration_sec": _THROUGHPUT_SEC, **choice.given("recipes", "duration_sec")},
    )
    return collection_benchmark.run(config, choice.plot)


def _inference(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.experiments import inference_benchmark

    tasks = choice.benchmark_tasks(("dm_control:walker-stand",), (_SMALL, _WIDE))
    config = inference_benchmark.InferenceConfig(tasks, **choice.given("recipes", "duration_sec"))
    return inference_benchmark.run(config, choice.plot)


def _learner(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.experiments import learner_benchmark

    tasks = choice.benchmark_tasks(("gym:CartPole-v1", "dm_control:walker-stand"), (_SMALL,))
    config = learner_benchmark.LearnerBenchmarkConfig(tasks, **choice.given("duration_sec"))
    return learner_benchmark.run(config, choice.plot)


def _startup(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.experiments import startup_benchmark

    (task, *_) = choice.benchmark_tasks(("gym:CartPole-v1",), (_SMALL,))
    config = startup_benchmark.StartupConfig(task, **choice.given("duration_sec", "num_collectors"))
    return startup_benchmark.run(config, choice.plot)


def _conversion(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.experiments import conversion_benchmark

    tasks = choice.benchmark_tasks(("dm_control:walker-walk",), (_SMALL, _WIDE))
    return conversion_benchmark.run(conversion_benchmark.ConversionConfig(tasks, **choice.given("recipes")))


def _preparation(choice: Choice) -> list[table.BenchmarkRow]:
    from tfquarl.environments import gym_suite  # noqa: F401, first: TF-Agents imports gym, which by itself tells of its age
    from tfquarl.experiments import preparation_benchmark

    if not choice.policies:
        raise errors.ConfigError("suite 'preparation' needs --policies, directories of runs")
    return preparation_benchmark.run(preparation_benchmark.PreparationConfig(**choice.given("policies", "recipes")))


@dataclasses.dataclass(frozen=True)
class Suite:
    """One benchmark.

    Attributes:
      run: makes its rows.
      takes: the attributes of `Choice` that it looks at.
    """

    run: Callable[[Choice], list[table.BenchmarkRow]]
    takes: tuple[str, ...]


_POLICY, _TIMED = ("tasks", "hidden_sizes"), ("duration_sec", "plot")
SUITES: Mapping[str, Suite] = {
    "collection": Suite(_collection, (*_POLICY, "recipes", *_TIMED)),
    "conversion": Suite(_conversion, (*_POLICY, "recipes")),
    "inference": Suite(_inference, (*_POLICY, "recipes", *_TIMED)),
    "learner": Suite(_learner, (*_POLICY, *_TIMED)),
    "preparation": Suite(_preparation, ("policies", "recipes")),
    "startup": Suite(_startup, (*_POLICY, "num_collectors", *_TIMED)),
    "throughput": Suite(_throughput, (*_POLICY, "recipes", *_TIMED)),
}
