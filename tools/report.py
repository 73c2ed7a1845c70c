"""Turns the runs of one experiment into a table, learning curves as PNG, and their data.

./bazelw run //tools:report -- --runs='runs/*_dqn_cartpole_int8' --output=docs/results/dqn_cartpole_int8 --target=475

Or what the processes of one run took of the machine, memory and open files, as a table, a PNG and its data:

./bazelw run //tools:report -- --resources --runs=runs/<run directory> --output=docs/results/soak_cartpole

Or what a study of collectors has come to so far:

./bazelw run //tools:report -- --study=runs/actorq --scaling=runs/actorq_4 --output=docs/results/actorq

Or the figures of //tools:benchmark -- --suite=throughput:

./bazelw run //tools:report -- --throughput=docs/results/actorq_throughput.json --output=docs/results/actorq_throughput
"""

import glob
import pathlib

from absl import flags

from tfquarl.core import errors
from tfquarl.core import output_paths
from tfquarl.experiments import page_text
from tfquarl.experiments import resource_report
from tfquarl.experiments import study_report
from tfquarl.experiments import throughput_report
from tfquarl.experiments import training_report
from tfquarl.program import command_line

_RUNS = flags.DEFINE_multi_string("runs", [], "A run directory, or a pattern of several; may be given several times.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Path of the report, without suffix: .md, .json and its plots as .png are written."
)
_RESOURCES = flags.DEFINE_bool("resources", False, "Reports memory and open files of one run's processes instead.")
_NOTE = flags.DEFINE_string("note", "", "What a reader has to know of the runs besides, in a sentence.")
_STUDY = flags.DEFINE_string("study", None, "Reports the runs in the directory of a //tools:study instead of --runs.")
_SCALING = flags.DEFINE_multi_string(
    "scaling", [], "A study of the same tasks with another number of collectors, which checks the model; several times."
)
_THROUGHPUT = flags.DEFINE_string("throughput", None, "Reports this JSON file of suite 'throughput' instead of --runs.")
_TARGET = flags.DEFINE_float("target", None, "A return to mark in the plots.")


def main() -> int:
    """Writes the report and prints its text."""
    if not (_STUDY.value or _THROUGHPUT.value or _RUNS.value) or not _OUTPUT.value:
        return command_line.fail(
            "--runs and --output are needed, for example --runs='runs/*' --output=docs/results/mine"
        )
    output = output_paths.check_page("output", _OUTPUT.value)
    print(page_text.of(_write(output)))
    print(f"{output}.md")
    return 0


def _write(output: pathlib.Path) -> str:
    if _STUDY.value:
        return study_report.write_report(pathlib.Path(_STUDY.value), output, list(map(pathlib.Path, _SCALING.value)))
    if _THROUGHPUT.value:
        return throughput_report.write_report(pathlib.Path(_THROUGHPUT.value), output)
    paths = sorted({pathlib.Path(path) for pattern in _RUNS.value for path in glob.glob(pattern)})
    if not paths:
        raise errors.ConfigError(f"no run directory matches {', '.join(_RUNS.value)}")
    if not _RESOURCES.value:
        return training_report.write_report(paths, output, _TARGET.value, _NOTE.value)
    if len(paths) != 1:
        raise errors.ConfigError(f"--resources needs one run directory, --runs gives {len(paths)}")
    return resource_report.write_report(paths[0], output)


if __name__ == "__main__":
    command_line.run(main)
