"""What a sweep runs: one experiment, bindings that vary, seeds, and recipes that are tried on the trained policies."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import itertools
import json
import pathlib
import re
from typing import Any

from tfquarl.core import errors
from tfquarl.experiments import kept_plan
from tfquarl.program import gin_loading
from tfquarl.quantization import recipe as recipe_lib

BASELINE_RECIPE = "float32"
# A run sees that its budget is used when its collectors report: what they do between two reports goes beyond it, by arms differently.
_REPORT_INTERVAL, _REPORT_SEC = ("CollectorConfig", "report_interval_sec"), 0.2


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
      name: of its directory: bindings and seed, readable.
      bindings: that distinguish it, e.g. "ConverterConfig.recipe = 'qat_wi4_ai4'".
      seed: of the run.
    """

    name: str
    bindings: tuple[str, ...]
    seed: int


@dataclasses.dataclass(frozen=True)
class SweepPlan:
    """A sweep.

    Attributes:
      name: of the study.
      gin_files: of the experiment, as `//tools:train` takes them.
      bindings: that all runs have.
      grid: values, as gin writes them, by the parameter that they are bound to; every combination is run.
      variants: lists of bindings that are run beside the grid.
      seeds: of the runs of each combination.
      post_training_recipes: recipes that the trained float policy of each `BASELINE_RECIPE` run is converted by and judged.
      num_episodes: that each policy is judged on, after its run.
      num_observations: that post-training recipes are calibrated on.
    """

    name: str
    gin_files: tuple[str, ...]
    bindings: tuple[str, ...] = ()
    grid: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    variants: tuple[tuple[str, ...], ...] = ()
    seeds: tuple[int, ...] = (0,)
    post_training_recipes: tuple[str, ...] = ()
    num_episodes: int = 100
    num_observations: int = 512

    def __post_init__(self) -> None:
        for name, (needed, is_right) in _TYPES.items():
            value = getattr(self, name)
            if not is_right(value):
                raise errors.ConfigError(f"sweep '{self.name}' has {name} = {value!r}, needs {needed}")
        if not self.gin_files or not self.seeds:
            raise errors.ConfigError(f"sweep '{self.name}' needs gin_files and seeds")
        if self.num_episodes < 1 or self.num_observations < 2:
            raise errors.ConfigError(f"sweep '{self.name}' needs num_episodes of 1 or more and 2 observations or more")
        for name, values in {"seeds": self.seeds, **self.grid}.items():
            if len(set(values)) < len(values):
                told = " | ".join(map(str, values))
                raise errors.ConfigError(f"sweep '{self.name}' has {name} = {told}, needs each once")
        for recipe in self.post_training_recipes:
            recipe_lib.from_name(recipe)

    def cells(self) -> list[Cell]:
        """All runs: the seeds of the first combination, then those of the next."""
        columns = [[f"{name} = {value}" for value in values] for name, values in self.grid.items()]
        combinations = [tuple(bindings) for bindings in itertools.product(*columns)] if columns else []
        combinations += [tuple(bindings) for bindings in self.variants]
        return [self.cell(bindings, seed) for bindings in combinations or [()] for seed in self.seeds]

    def cell(self, bindings: tuple[str, ...], seed: int) -> Cell:
        """The run of these bindings and this seed.

        Raises:
          ConfigError: bindings of the seed, which would be told one and run with the other.
        """
        if bound := [text for text in (*self.bindings, *bindings) if _parameter(text) == "Experiment.seed"]:
            raise errors.ConfigError(
                f"sweep '{self.name}' binds '{bound[0]}'; leave it out and give --seeds, or seeds in the sweep file"
            )
        words = [
            re.sub(r"[^\w.=-]+", "", binding.rsplit(".", 1)[-1] if "=" in binding else binding) for binding in bindings
        ]
        readable = "_".join(words)[:80]
        # The readable part may be cut. What all runs share is no part of the name: `settings` keeps other plans out of the directory.
        digest = hashlib.sha256(json.dumps(bindings).encode()).hexdigest()[:8]
        return Cell(f"{readable or 'run'}_seed{seed}_{digest}", bindings, seed)

    def load(self, cell: Cell) -> gin_loading.LoadedExperiment:
        """A cell's configuration: its files and bindings, and `_REPORT_INTERVAL` where none of them tells another.

        Raises:
          ConfigError: a file or a binding that gin refuses.
        """
        bindings = self.bindings_of(cell)
        loaded = gin_loading.load(self.gin_files, bindings)
        if _REPORT_INTERVAL in loaded.places:
            return loaded
        return gin_loading.load(self.gin_files, [*bindings, f"{'.'.join(_REPORT_INTERVAL)} = {_REPORT_SEC}"])

    def settings(self, cells: Sequence[Cell]) -> dict[str, str]:
        """What decides all runs alike, as text by name: the values that don't vary over `cells`, and how policies are judged.

        Args:
          cells: one or more that have every value of everything that varies.

        Raises:
          ConfigError: a file or a binding that gin refuses.
        """
        different = {cell.bindings: cell for cell in cells}.values()
        first, *others = [kept_plan.settings_of(self.load(cell).experiment) for cell in different]
        varied = {"Experiment.seed", *(_parameter(binding) for cell in cells for binding in cell.bindings)}
        return {
            "num_episodes": str(self.num_episodes),
            "num_observations": str(self.num_observations),
            "post_training_recipes": ", ".join(self.post_training_recipes) or "none",
            **{
                name: value
                for name, value in first.items()
                if name not in varied and all(other.get(name) == value for other in others)
            },
        }

    def bindings_of(self, cell: Cell) -> list[str]:
        """All bindings of a cell's run."""
        return [*self.bindings, *cell.bindings, f"Experiment.seed = {cell.seed}"]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether all of a list are."""
    return lambda value: isinstance(value, (list, tuple)) and all(map(is_right, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


# What a sweep file may hold: else its runs would train to their end before one of them stumbles over it.
_TYPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("text", _is_text),
    "gin_files": ("a list of paths", _are(_is_text)),
    "bindings": ("a list of bindings", _are(_is_text)),
    "grid": (
        "lists of values as text by parameter",
        lambda value: isinstance(value, Mapping) and all(map(_are(_is_text), value.values())),
    ),
    "variants": ("lists of bindings", _are(_are(_is_text))),
    "seeds": ("whole numbers", _are(_is_whole)),
    "post_training_recipes": ("a list of recipes", _are(_is_text)),
    "num_episodes": ("a whole number", _is_whole),
    "num_observations": ("a whole number", _is_whole),
}


def read(path: pathlib.Path) -> SweepPlan:
    """The plan in a JSON file with the fields of `SweepPlan`.

    Raises:
      ConfigError: a file that can't be read, or with other fields.
    """
    try:
        value = json.loads(path.read_text())
        fields: dict[str, Any] = {key: _tuples(item) for key, item in value.items()}
        return SweepPlan(**fields)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        known = ", ".join(field.name for field in dataclasses.fields(SweepPlan))
        raise errors.ConfigError(f"sweep file {path}: {error}; it is a JSON object with {known}") from error


def parse_grid(text: str) -> tuple[str, list[str]]:
    """Parameter and values of a flag like "DqnBuilder.n_step = 1 | 5 | 10".

    Raises:
      ConfigError: text of another form.
    """
    name, separator, values = text.partition("=")
    parts = [value.strip() for value in values.split("|")]
    if not separator or not name.strip() or not all(parts):
        raise errors.ConfigError(f"--grid '{text}' needs the form 'Class.parameter = value | value'")
    return name.strip(), parts


def _parameter(binding: str) -> str:
    """'Class.parameter' of a binding; modules before it are left out."""
    return ".".join(binding.partition("=")[0].strip().split(".")[-2:])


def _tuples(item: Any) -> Any:
    return tuple(_tuples(part) for part in item) if isinstance(item, list) else item
