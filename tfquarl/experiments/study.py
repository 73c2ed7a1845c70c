"""Runs a study: one process after another, each a whole training run, and goes on where it was broken off."""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
import signal
import subprocess
import sys

from absl import logging

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.experiments import study_plan
from tfquarl.program import budget as budget_lib
from tfquarl.program import command_line
from tfquarl.program import gin_loading
from tfquarl.program import run_directory
from tfquarl.program import training

Start = Callable[[study_plan.StudyRun, pathlib.Path], int]
"""Makes a run in a directory that is not there yet; its exit code."""


def run(
    plan: Sequence[study_plan.StudyRun], root: pathlib.Path, start: Start, say: Callable[[str], None] = logging.info
) -> None:
    """Makes the runs of `plan` that have not been completed.

    A run that was broken off is made anew: the times of one that was resumed would tell nothing.

    Args:
      plan: all runs, in order.
      root: of the study.
      start: makes one.
      say: told what is done.

    Raises:
      ConfigError: one of them is made by another program.
      NodeFailedError: a run failed.
      KeyboardInterrupt: a run was interrupted.
    """
    for number, one in enumerate(plan, 1):
        directory = one.directory(root)
        name = f"run {number} of {len(plan)}: {one.task} {one.arm} seed {one.seed}"
        if is_complete(directory):
            say(f"{name}: there already")
            continue
        run_directory.RunDirectory(directory).remove()
        with files.storage_errors(f"making {directory}"):
            directory.parent.mkdir(parents=True, exist_ok=True)
        say(name)
        code = start(one, directory)
        if not is_complete(directory):
            if code == command_line.INTERRUPTED:
                raise KeyboardInterrupt
            raise errors.NodeFailedError(
                f"{name}: exit code {code}; look at {directory / 'summary.json'}, and run this again"
            )


def is_complete(directory: pathlib.Path) -> bool:
    """Whether a run has used its budget here."""
    kept = run_directory.RunDirectory(directory)
    return kept.summary_file.is_file() and kept.read_summary()["status"] == budget_lib.Status.COMPLETED


def make_run(one: study_plan.StudyRun, directory: pathlib.Path, gin_bindings: Sequence[str]) -> training.TrainingResult:
    """One run, in this process.

    Raises:
      TfquarlError: it can't be made, or it failed.
    """
    loaded = gin_loading.load([one.gin_file], [*gin_bindings, *study_plan.bindings(one.arm, one.seed)])
    study_plan.check_arm(one.arm, loaded.experiment.environment.name)
    return training.run(loaded, str(directory), study_plan.nodes_of(one.arm))


def in_process_of_its_own(gin_bindings: Sequence[str]) -> Start:
    """Starts each run as this program with `--arm` and `--seed`: no run meets what an earlier one has left in memory."""

    def start(one: study_plan.StudyRun, directory: pathlib.Path) -> int:
        command = [sys.executable, sys.argv[0], f"--gin_file={one.gin_file}", f"--root_dir={directory}"]
        command += [f"--arm={one.arm}", f"--seed={one.seed}", *(f"--gin_bindings={text}" for text in gin_bindings)]
        process = subprocess.Popen(command)  # subprocess.run would kill it a quarter of a second after Ctrl-C
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)  # what has ended this program may not have come to that one
            process.wait()
            raise

    return start
