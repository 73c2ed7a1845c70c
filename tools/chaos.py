"""Kills the processes of CartPole runs at random, and tells what should have held and did not.

    ./bazelw run //tools:chaos

First one process after another through a training run, every kind in its turn: it goes on until all kills are done, and still has to
reach its target. Then whole runs at
random moments, each gone on with. It prints what it found, and exits with 1 if anything is wrong.

    ./bazelw run //tools:chaos -- --compare_seeds=1,2,3,4,5 --gin_bindings="Experiment.num_env_steps = 40_000" --root_dir=runs/resumed

instead compares what runs come to that are interrupted, or killed, --num_interruptions times with what plain ones do in the same
environment steps. The same command goes on with what is missing.
"""

import pathlib
import sys
import tempfile

from absl import flags

from tfquarl.core import errors
from tfquarl.core import output_paths
from tfquarl.experiments import chaos
from tfquarl.experiments import chaos_text
from tfquarl.experiments import resumed_report
from tfquarl.experiments import resumed_runs
from tfquarl.experiments import typed_command
from tfquarl.program import command_line

_GIN_FILE = flags.DEFINE_multi_string(
    "gin_file", ["configs/gin/experiments/dqn_cartpole_int8.gin"], "Of a CartPole experiment."
)
_GIN_BINDINGS = flags.DEFINE_multi_string("gin_bindings", [], "Bindings; may be given several times.")
_NUM_KILLS = flags.DEFINE_integer("num_kills", 20, "Processes that are killed one by one.", lower_bound=0)
_PERIOD_SEC = flags.DEFINE_float("period_sec", 4.0, "Mean seconds between two of them.", lower_bound=0.1)
_NUM_RUN_KILLS = flags.DEFINE_integer("num_run_kills", 10, "Times that a whole run is killed.", lower_bound=0)
_RUN_STEPS = flags.DEFINE_integer(
    "run_steps", 6_000, "Environment steps after the last time that a whole run is killed.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Of what is random.")
_ROOT_DIR = flags.DEFINE_string("root_dir", None, "Where the runs are kept; by default they are removed.")

_COMPARE_SEEDS = flags.DEFINE_list("compare_seeds", [], "Compares plain and resumed runs of these seeds, instead.")
_NUM_INTERRUPTIONS = flags.DEFINE_integer("num_interruptions", 2, "Of each resumed run.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "Path of a page about the comparison, without suffix: .md and .json.")


def main() -> int:
    """Runs what the flags say and gives the exit code."""
    with tempfile.TemporaryDirectory(prefix="chaos_") as temporary:
        root = pathlib.Path(_ROOT_DIR.value or temporary)
        if _COMPARE_SEEDS.value:
            return _compare(root)
        reports = {}
        files, bindings = tuple(_GIN_FILE.value), tuple(_GIN_BINDINGS.value)
        if _NUM_KILLS.value:
            config = chaos.ChaosConfig(files, bindings, _NUM_KILLS.value, _PERIOD_SEC.value, seed=_SEED.value)
            reports["processes"] = chaos.kill_processes(config, root / "processes")
        if _NUM_RUN_KILLS.value:
            ends = (f"Experiment.num_env_steps = {_RUN_STEPS.value}", "Experiment.stop_at_return = None")
            config = chaos.ChaosConfig(files, (*bindings, *ends), num_run_kills=_NUM_RUN_KILLS.value, seed=_SEED.value)
            reports["runs"] = chaos.kill_runs(config, root / "runs")
    print("\n\n".join(chaos_text.describe(name, report) for name, report in reports.items()))
    return 1 if any(report.faults for report in reports.values()) else 0


def _compare(root: pathlib.Path) -> int:
    try:
        seeds = tuple(int(seed) for seed in _COMPARE_SEEDS.value)
    except ValueError as error:
        raise errors.ConfigError(f"--compare_seeds={','.join(_COMPARE_SEEDS.value)} needs whole numbers") from error
    output = output_paths.check_page("output", _OUTPUT.value) if _OUTPUT.value else None
    files, bindings = tuple(_GIN_FILE.value), tuple(_GIN_BINDINGS.value)
    config = resumed_runs.ResumedRunsConfig(files, bindings, seeds, _NUM_INTERRUPTIONS.value)
    outcomes = resumed_runs.make(config, root, lambda line: print(line, flush=True))
    print(resumed_report.describe(outcomes))
    if output is not None:
        kept = typed_command.without(sys.argv[1:], ("root_dir", "output"))
        resumed_report.write(outcomes, output, typed_command.line("chaos", [*kept, "--root_dir=runs/resumed"]))
        print(f"{output}.md")
    return 0


if __name__ == "__main__":
    command_line.run(main)
