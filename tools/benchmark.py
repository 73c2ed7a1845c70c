"""Measures this project against what it replaces and against the machine's own limits, all sides in turns within one run.

    ./bazelw run //tools:benchmark -- --suite=collection --tasks=gym:CartPole-v1 --output=collection.json --plot=collection.png

Suites: 'collection' (environment steps), 'throughput' (those of the study's eleven tasks at 3x2048, collectors alone), 'inference' (the
policy alone), 'learner' (train steps), 'startup' (further collectors: time, memory, load), 'conversion' (snapshots to models) and
'preparation' (errors and returns of trained --policies by what is done to their weights before they are rounded). It prints a table; --output writes the same
figures as JSON.
"""

import os

from absl import flags

from tfquarl.experiments import benchmark_suites
from tfquarl.program import command_line

_SUITE = flags.DEFINE_enum("suite", None, sorted(benchmark_suites.SUITES), "What is measured.")
_TASKS = flags.DEFINE_list("tasks", None, "Environments, e.g. gym:CartPole-v1,dm_control:cheetah-run.")
_HIDDEN_SIZES = flags.DEFINE_multi_string(
    "hidden_sizes", None, "Units of the policy's hidden layers, e.g. 256,256,256; may be given several times."
)
_RECIPES = flags.DEFINE_list("recipes", None, "Quantization recipes, e.g. float32,static_wi8_ai8.")
_DURATION_SEC = flags.DEFINE_float(
    "duration_sec", None, "Seconds that each side runs for in each case.", lower_bound=0.01
)
_NUM_COLLECTORS = flags.DEFINE_string(
    "num_collectors", None, "Suite 'startup': numbers of collectors that work together, growing, above 3: 8,64."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_POLICIES = flags.DEFINE_list("policies", None, "Suite 'preparation': directories of runs.")
_PLOT = flags.DEFINE_string("plot", None, "PNG file for the suite's plot.")


def main() -> int:
    """Runs one suite and gives the exit code."""
    if not _SUITE.value:
        return command_line.fail(f"--suite is needed, one of {', '.join(sorted(benchmark_suites.SUITES))}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong comes as an exception
    parse = benchmark_suites.parse_numbers
    choice = benchmark_suites.Choice(
        _TASKS.value,
        [parse("--hidden_sizes", text, "256,256,256") for text in _HIDDEN_SIZES.value] if _HIDDEN_SIZES.value else None,
        _RECIPES.value,
        _DURATION_SEC.value,
        parse("--num_collectors", _NUM_COLLECTORS.value, "8,64") if _NUM_COLLECTORS.value else None,
        _PLOT.value,
        _POLICIES.value,
    )
    benchmark_suites.run(_SUITE.value, choice, _OUTPUT.value)
    return 0


if __name__ == "__main__":
    command_line.run(main)
