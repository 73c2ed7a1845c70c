r"""Runs an experiment many times, with bindings that vary and several seeds, and makes one table of it and a page with plots.

    ./bazelw run //tools:sweep -- --sweep_file=configs/sweeps/dqn_cartpole_bits.json --root_dir=sweeps/cartpole
    ./bazelw run //tools:sweep -- --gin_file=configs/gin/experiments/dqn_cartpole_int8.gin --seeds=0,1,2 \
      --grid="ConverterConfig.recipe = 'float32' | 'qat_wi4_ai4'" --root_dir=sweeps/mine

A sweep that was stopped goes on where it stopped: the same command runs what has not finished. Further seeds and values may be run in the
same directory; other settings are refused. It holds plan.json, one directory a run, and results.csv and results.json of all of them; --output
writes a page with plots.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import pathlib
from typing import TypeVar

from absl import flags

from tfquarl.core import errors
from tfquarl.core import output_paths
from tfquarl.experiments import kept_plan
from tfquarl.experiments import sweep_cell
from tfquarl.experiments import sweep_plan
from tfquarl.experiments import sweep_report
from tfquarl.experiments import sweep_runner
from tfquarl.experiments import sweep_search
from tfquarl.experiments import sweep_table
from tfquarl.experiments import typed_command
from tfquarl.program import command_line

_SWEEP_FILE = flags.DEFINE_string("sweep_file", None, "A JSON file that tells the sweep; instead of the flags below.")
_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "A gin file of the experiment, as for //tools:train.")
_GIN_BINDINGS = flags.DEFINE_multi_string("gin_bindings", [], "A binding that all runs have.")
_GRID = flags.DEFINE_multi_string(
    "grid", [], "'Class.parameter = value | value': every combination of these flags is run."
)
_SEEDS = flags.DEFINE_list("seeds", ["0"], "Seeds of each combination.")
_POST_TRAINING = flags.DEFINE_list(
    "post_training_recipes", [], "Recipes that the policies of runs with recipe 'float32' are tried under."
)
_EPISODES = flags.DEFINE_integer("episodes", 100, "Episodes that each policy is judged on.", lower_bound=1)
_SEARCH = flags.DEFINE_multi_string(
    "search",
    [],
    "'Class.parameter = logfloat(1e-4, 1e-2)': searched by Optuna instead of a grid; also float, int, logint, 'a | b'.",
)
_TRIALS = flags.DEFINE_integer("trials", 20, "Combinations that a search tries.", lower_bound=1)
_ROOT_DIR = flags.DEFINE_string("root_dir", None, "The sweep's directory.")
_PARALLEL = flags.DEFINE_integer("parallel", 1, "Runs at once; each has processes of its own.", lower_bound=1)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Path of a page about it, without suffix: .md, .csv, .json and four .png are written."
)


_Values = TypeVar("_Values")


def main() -> int:
    """Runs the sweep, prints its table and gives the exit code."""
    if not _ROOT_DIR.value or bool(_SWEEP_FILE.value) == bool(_GIN_FILE.value):
        return command_line.fail("--root_dir is needed, and either --sweep_file or --gin_file")
    _refuse_ignored_flags()
    output = output_paths.check_page("output", _OUTPUT.value) if _OUTPUT.value else None
    plan = sweep_plan.read(pathlib.Path(_SWEEP_FILE.value)) if _SWEEP_FILE.value else _plan_of_flags()
    directory = pathlib.Path(_ROOT_DIR.value).absolute()
    search_plan = (
        sweep_search.SearchPlan(_by_parameter("--search", map(_split, _SEARCH.value)), _TRIALS.value)
        if _SEARCH.value
        else None
    )
    if search_plan and (plan.grid or plan.variants):
        raise errors.ConfigError(
            "--search takes the place of a grid; leave out --grid, or the sweep file's grid and variants"
        )
    cells = search_plan.samples(plan) if search_plan else plan.cells()
    with kept_plan.go_on(directory, kept_plan.KeptPlan("sweep", plan.settings(cells), [_command()])) as kept:
        return _run(plan, search_plan, cells, directory, output, kept.commands)


def _run(
    plan: sweep_plan.SweepPlan,
    search_plan: sweep_search.SearchPlan | None,
    cells: Sequence[sweep_plan.Cell],
    directory: pathlib.Path,
    output: pathlib.Path | None,
    commands: Sequence[str],
) -> int:
    """Runs what is missing, and writes table and page; `commands` are those of the directory."""
    runner = sweep_runner.SweepRunner(plan, directory, _PARALLEL.value, _say)
    results = sweep_search.search(plan, search_plan, runner, _say) if search_plan else runner.run(cells)
    if not results:
        return command_line.fail(f"no run succeeded; each directory below {directory} has a log.txt")
    results += sweep_cell.read_others(directory, results)
    print(sweep_table.write(directory, results))
    print(f"{directory / 'results.csv'}, {directory / 'results.json'}")
    if output is not None:
        commands = [*(command for command in commands if command != _command()), _command(_OUTPUT)]
        sweep_report.write(plan, results, output, commands)
        print(f"{output}.md")
    return command_line.fail(f"{len(runner.failed)} runs failed: {', '.join(runner.failed)}") if runner.failed else 0


def _refuse_ignored_flags() -> None:
    """A flag that nothing looks at would stand in the page's command as if it had decided something."""
    told_by_file = (_GIN_BINDINGS, _GRID, _SEEDS, _POST_TRAINING, _EPISODES) if _SWEEP_FILE.value else ()
    ignored = [f"--{holder.name}" for holder in told_by_file if flags.FLAGS[holder.name].present]
    if ignored:
        raise errors.ConfigError(
            f"{', '.join(ignored)} beside --sweep_file, which tells them itself; leave out one or the other"
        )
    if flags.FLAGS[_TRIALS.name].present and not _SEARCH.value:
        raise errors.ConfigError("--trials is of a search; give --search too, or leave it out")


def _plan_of_flags() -> sweep_plan.SweepPlan:
    try:
        seeds = tuple(int(seed) for seed in _SEEDS.value)
    except ValueError as error:
        raise errors.ConfigError(f"--seeds={','.join(_SEEDS.value)} needs whole numbers") from error
    return sweep_plan.SweepPlan(
        pathlib.Path(_GIN_FILE.value[-1]).stem,
        tuple(_GIN_FILE.value),
        tuple(_GIN_BINDINGS.value),
        _by_parameter("--grid", map(sweep_plan.parse_grid, _GRID.value)),
        (),
        seeds,
        tuple(_POST_TRAINING.value),
        _EPISODES.value,
    )


def _by_parameter(flag: str, pairs: Iterable[tuple[str, _Values]]) -> dict[str, _Values]:
    found: dict[str, _Values] = {}
    for name, values in pairs:
        if name in found:
            raise errors.ConfigError(f"{flag} has {name} twice; give all its values in one")
        found[name] = values
    return found


def _split(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise errors.ConfigError(f"--search '{text}' needs the form 'Class.parameter = logfloat(a, b)'")
    return name.strip(), value.strip()


def _say(line: str) -> None:
    print(line, flush=True)


def _command(*others: flags.FlagHolder) -> str:
    """The command by those of its flags that decide what comes of it, and by `others`."""
    deciding = (
        _SWEEP_FILE,
        _GIN_FILE,
        _GIN_BINDINGS,
        _GRID,
        _SEEDS,
        _POST_TRAINING,
        _EPISODES,
        _SEARCH,
        _TRIALS,
        _ROOT_DIR,
    )
    given = [flag for holder in (*deciding, *others) if (flag := flags.FLAGS[holder.name]).present]
    arguments = [text for flag in given for text in flag.serialize().splitlines()]
    return typed_command.line("sweep", typed_command.without_machine(arguments, pathlib.Path.cwd()))


if __name__ == "__main__":
    command_line.run(main)
