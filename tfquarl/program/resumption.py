"""What a run directory tells of the run that it holds, so that the run can go on.

metrics.jsonl has the counters, policies/ the verdicts, operative_config.gin what it was run with; networks and replay are read by the
processes that own them.
"""

from collections.abc import Mapping
import dataclasses

from tfquarl.core import errors
from tfquarl.metrics import jsonl
from tfquarl.program import archive
from tfquarl.program import budget as budget_lib
from tfquarl.program import config_changes
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import gin_loading
from tfquarl.program import run_directory

Limits = Mapping[str, float | None]
"""As `experiment.limits_of` gives them."""

_ENDED = (budget_lib.Status.COMPLETED, budget_lib.Status.TARGET_REACHED)


@dataclasses.dataclass(frozen=True)
class EarlierRun:
    """A run that is to go on.

    Attributes:
      progress: what it came to.
      status: how it ended; None where it was killed.
      limits: that it was to end at.
    """

    progress: budget_lib.Progress
    status: budget_lib.Status | None
    limits: Limits

    def is_complete(self, experiment: experiment_lib.Experiment) -> bool:
        """Whether nothing is left to do for `experiment`: it ended, and neither its budget nor its target was raised since."""
        return self.status in _ENDED and not _asks_for_more(self.limits, experiment_lib.limits_of(experiment))

    def begin(self) -> budget_lib.Progress:
        """What the run goes on from."""
        progress = dataclasses.replace(self.progress, num_resumes=self.progress.num_resumes + 1)
        if self.status in _ENDED:  # a target that was reached ends no run twice, where the user has asked for more
            progress.past_version = progress.newest_version
        return progress


def find(directory: run_directory.RunDirectory, experiment: experiment_lib.Experiment) -> EarlierRun | None:
    """The run that `directory` holds; None where it holds none yet.

    Raises:
      ConfigError: that run can't go on as `experiment`, or as `check_place`.
      ArtifactError: a file of it was damaged.
    """
    check_place(directory)
    if not directory.operative_config_file.exists():
        return None
    old = gin_loading.load([str(directory.operative_config_file.absolute())]).experiment
    changes = config_changes.refused(old, experiment)
    if changes:
        raise errors.ConfigError(
            f"{directory.path} holds a run that can't go on with another configuration: {'; '.join(changes)};"
            f" give what it was begun with, or another --root_dir"
        )
    return EarlierRun(read_progress(directory), *_read_end(directory, old))


def check_place(directory: run_directory.RunDirectory) -> None:
    """Checks that a run may begin or go on in `directory`, before anything is made there.

    Raises:
      ConfigError: it holds figures of a run, but not what they were made with; or files, and no run.
      StorageError: it can't be read.
    """
    if directory.operative_config_file.exists():
        return
    if directory.summary_file.exists() or directory.metrics_file.exists():
        raise errors.ConfigError(
            f"{directory.path} holds a run without its operative_config.gin; give another --root_dir, or remove it"
        )
    if directory.is_of_others():
        raise errors.ConfigError(
            f"--root_dir={directory.path} has files in it and holds no run; give a new or an empty directory, or that of a run"
        )


def read_progress(directory: run_directory.RunDirectory) -> budget_lib.Progress:
    """What the run has come to so far.

    Raises:
      ArtifactError: metrics.jsonl or a verdict is damaged.
    """
    progress = budget_lib.Progress(evaluations=archive.PolicyArchive(directory.path).evaluations())
    if directory.metrics_file.exists():
        for row in jsonl.read_rows(directory.metrics_file):
            progress.count(row.group, row.step, row.values)
    for evaluation in progress.evaluations:
        progress.newest_version = max(progress.newest_version, evaluation["version"])
    return progress


def _read_end(
    directory: run_directory.RunDirectory, old: experiment_lib.Experiment
) -> tuple[budget_lib.Status | None, Limits]:
    """How the run has ended, None where it was killed; and at what limits: a later part may have failed as it began."""
    summary = directory.read_summary() if directory.summary_file.exists() else {}
    status = summary.get("status")
    limits = summary.get("limits", experiment_lib.limits_of(old))
    return budget_lib.Status(status) if status in list(budget_lib.Status) else None, limits


def _asks_for_more(old: Limits, new: Limits) -> bool:
    limits = [(old.get(name), limit) for name, limit in new.items()]
    return any(before is not None and (after is None or after > before) for before, after in limits)
