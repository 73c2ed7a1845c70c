"""Which runs a study has, and in which order: arms x tasks x seeds, balanced."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import pathlib

from tfquarl.core import errors
from tfquarl.experiments import kept_plan
from tfquarl.experiments import stock_agent
from tfquarl.experiments import stock_nodes
from tfquarl.program import gin_loading
from tfquarl.program import layout
from tfquarl.program import training

STOCK = "S"

RECIPES = {
    STOCK: "float32",
    "F32": "float32",
    "F16": "float16",
    "D8": "dynamic_wi8_afp32",
    "I8": "static_wi8_ai8",
}


@dataclasses.dataclass(frozen=True)
class StudyRun:
    """One run of a study.

    Attributes:
      gin_file: of its task.
      task: the experiment's name; runs of one task differ in arm and seed alone.
      arm: one of `study_config.ARMS`.
      seed: of everything that draws random numbers.
    """

    gin_file: str
    task: str
    arm: str
    seed: int

    def directory(self, root: pathlib.Path) -> pathlib.Path:
        """Of this run, below the study's."""
        return root / self.task / f"{self.arm}_seed{self.seed}"


def bindings(arm: str, seed: int) -> list[str]:
    """What makes a task's experiment the run of an arm: all else is the same."""
    return [
        f"ConverterConfig.recipe = '{RECIPES[arm]}'",
        f"Experiment.seed = {seed}",
        "Experiment.stop_at_return = None",
    ]


def nodes_of(arm: str) -> training.MakeNodes:
    """The processes of a run of this arm."""
    return stock_nodes.make_nodes if arm == STOCK else layout.make_nodes


def check_arm(arm: str, environment: str) -> None:
    """Raises ConfigError where the collectors of `arm` can't act in the environment of this name."""
    if arm == STOCK:
        stock_agent.check_task(environment)


def make_plan(gin_files: Sequence[str], gin_bindings: Sequence[str] = ()) -> list[StudyRun]:
    """All runs in the order in which they are made.

    Each seed goes through all tasks before the next one begins, and the arms take turns in coming first: a machine that
    becomes slower, or a study that is broken off, favours none.

    Args:
      gin_files: one for each task.
      gin_bindings: for all of them.

    Raises:
      ConfigError: a file can't be loaded, two are of one name, or an arm can't act in its task.
    """
    tasks = [(path, gin_loading.load([path], gin_bindings)) for path in gin_files]
    names = [loaded.experiment.name for _, loaded in tasks]
    if len(set(names)) < len(names):
        raise errors.ConfigError(
            f"the tasks are {', '.join(names)}, needs each once: runs are kept by it; bind Experiment.name in each --gin_file"
        )
    for _, loaded in tasks:
        for arm in loaded.study.arms:
            check_arm(arm, loaded.experiment.environment.name)
    most_seeds = max((len(loaded.study.seeds) for _, loaded in tasks), default=0)
    runs: list[StudyRun] = []
    for round_number in range(most_seeds):
        for number, (path, loaded) in enumerate(tasks):
            if round_number < len(loaded.study.seeds):
                seed = loaded.study.seeds[round_number]
                for arm in _turned(loaded.study.arms, round_number + number):
                    runs.append(StudyRun(path, loaded.experiment.name, arm, seed))
    return runs


def settings(gin_files: Sequence[str], gin_bindings: Sequence[str] = ()) -> dict[str, str]:
    """What decides the runs of each task alike, as text by 'task/Class.parameter'; arms and seeds may be added to."""
    varied = {binding.partition(" = ")[0] for binding in bindings(STOCK, 0)}
    found: dict[str, str] = {}
    for path in gin_files:
        experiment = gin_loading.load([path], gin_bindings).experiment
        values = kept_plan.settings_of(experiment).items()
        found |= {f"{experiment.name}/{name}": value for name, value in values if name not in varied}
    return found


def floors(gin_files: Sequence[str], gin_bindings: Sequence[str] = ()) -> dict[str, float]:
    """`StudyConfig.floor_return` by task."""
    loaded = [gin_loading.load([path], gin_bindings) for path in gin_files]
    return {one.experiment.name: one.study.floor_return for one in loaded}


def _turned(arms: Sequence[str], number: int) -> Iterator[str]:
    first = number % len(arms)
    yield from (*arms[first:], *arms[:first])
