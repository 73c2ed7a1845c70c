"""What the runs of a study came to, by task and arm, and how the arms compare."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import pathlib
import re
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.experiments import parity_counts
from tfquarl.experiments import provenance
from tfquarl.experiments import scaling_measurement
from tfquarl.experiments import study
from tfquarl.experiments import study_plan
from tfquarl.experiments import training_report
from tfquarl.metrics import jsonl
from tfquarl.metrics import names
from tfquarl.metrics import statistics
from tfquarl.program import run_directory
from tfquarl.program import study_config

_FLOORS_FILE = "floors.json"

SHARES = (0.90, 0.95)
STEADY_COUNT = 3
PARTS = ("step", "pull and decode", "load")
_PART_NAMES = dict(zip(PARTS, (names.STEP_SEC, names.PULL_SEC, names.LOAD_SEC)))
_RUN_NAME = re.compile(rf"({'|'.join(study_config.ARMS)})_seed(\d+)")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
      arm: of the study.
      seed: of the run.
      run: its files.
      wall_sec: from its start until its last policy was published, start-up included; the verdict on that policy comes later.
      breakdown_us: microseconds per environment step that collectors spent in each of `PARTS`, but not waiting for the rate limiter.
      parity: of its policies.
      scaling: its figures for the model of more collectors; None where it was too short for them.
    """

    arm: str
    seed: int
    run: training_report.Run
    wall_sec: float
    breakdown_us: Mapping[str, float]
    parity: parity_counts.ParityCounts
    scaling: scaling_measurement.Point | None

    @property
    def final_return(self) -> float:
        """Of the run's last policy in the number format of its arm, whether parity refused it or not."""
        return self.run.summary["last_policy"]["int8"]["mean_return"]

    @property
    def late_return(self) -> float:
        """Mean of the verdicts on the policies of the last tenth of the train steps."""
        return self.run.int8.late_return()

    def steadied(self) -> "Outcome":
        """The same run, each verdict replaced by the mean of it and of those before, `STEADY_COUNT` together."""
        curve = self.run.int8.running_mean(STEADY_COUNT)
        return dataclasses.replace(self, run=dataclasses.replace(self.run, int8=curve))

    @property
    def policy_bytes(self) -> int:
        """Of the last policy in the number format of its arm; for `S` of the float model, whose weights its container sends."""
        return self.run.summary["last_policy"]["int8"]["size_bytes"]

    @property
    def energy(self) -> Mapping[str, Any]:
        """As in summary.json."""
        return self.run.summary["energy"]

    @property
    def num_restarts(self) -> Mapping[str, int]:
        """Times that a process was started again, by its name."""
        return self.run.summary.get("num_restarts", {})  # summaries of older runs have none

    @property
    def collector_joules(self) -> float:
        """Of all collectors."""
        return self.energy["joules_by_role"].get("collector", 0.0)

    @property
    def collector_cpu_us(self) -> float:
        """Microseconds of CPU time of all collectors per environment step."""
        seconds = sum(sec for name, sec in self.energy["cpu_sec_by_process"].items() if name.startswith("collector"))
        return 1e6 * seconds / self.run.summary["env_steps"]


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """All runs of one task.

    Attributes:
      task: the experiment's name.
      outcomes: by arm, in the order of `study_config.ARMS`, each in the order of seeds.
      floor_return: of a policy that has learned nothing.
    """

    task: str
    outcomes: Mapping[str, Sequence[Outcome]]
    floor_return: float

    def threshold(self, share: float) -> float | None:
        """The return that is `share` of the way from the floor to the best S return; None without runs of S, or verdicts on one.

        The best S return is the mean over its seeds of the highest return that was measured in each run.
        """
        stock = self.outcomes.get(study_plan.STOCK)
        if not stock or not all(outcome.run.int8.returns.size for outcome in stock):
            return None
        best = sum(float(outcome.run.int8.returns.max()) for outcome in stock) / len(stock)
        return self.floor_return + share * (best - self.floor_return)

    def steadied(self) -> "TaskResult":
        """The same runs, each verdict replaced by the mean of it and the two before: a single policy can be good by luck."""
        return dataclasses.replace(
            self, outcomes={arm: [one.steadied() for one in outcomes] for arm, outcomes in self.outcomes.items()}
        )

    def judged_every(self, arm: str) -> float | None:
        """Train steps from one verdict to the next, the median over an arm's runs; None where none has two."""
        gaps = np.concatenate([np.diff(outcome.run.int8.train_steps) for outcome in self.outcomes[arm]])
        return float(np.median(gaps)) if gaps.size else None

    def times_to(self, arm: str, share: float) -> list[float | None]:
        """Seconds until each run had published a policy of at least `threshold(share)`; None for those that never did."""
        target = self.threshold(share)
        if target is None:
            return [None] * len(self.outcomes[arm])
        return [outcome.run.int8.time_to(target) for outcome in self.outcomes[arm]]

    def times_ratio(self, arm: str, share: float) -> statistics.RatioInterval | None:
        """How many times sooner than S an arm gets to `threshold(share)`, over the seeds on which both do; None without any."""
        return self._ratio(arm, self.times_to(study_plan.STOCK, share), self.times_to(arm, share))

    def ratio(self, arm: str, quantity: str) -> statistics.RatioInterval | None:
        """How many times more S has of `quantity`, an attribute of `Outcome` or 'joules'; None without S or where one has 0.

        Joules are compared over the seeds on which both were found in the same way.
        """
        if study_plan.STOCK not in self.outcomes:
            return None
        own: list[float | None] = [*self.values(arm, quantity)]
        if quantity.endswith("joules"):
            unlike = self.seeds_of_other_meters(arm)
            own = [None if outcome.seed in unlike else value for outcome, value in zip(self.outcomes[arm], own)]
        return self._ratio(arm, self.values(study_plan.STOCK, quantity), own)

    def seeds_of_other_meters(self, arm: str) -> set[int]:
        """Seeds whose joules were found in another way for an arm than for S: an estimate tells nothing beside a measurement."""
        stock = {outcome.seed: provenance.meter(outcome.energy) for outcome in self.outcomes.get(study_plan.STOCK, ())}
        return {
            outcome.seed
            for outcome in self.outcomes[arm]
            if outcome.seed in stock and stock[outcome.seed] != provenance.meter(outcome.energy)
        }

    def num_pairs(self, arm: str) -> int:
        """Seeds that both S and an arm have run: what a ratio is over unless one of a pair never got there."""
        stock = {outcome.seed for outcome in self.outcomes.get(study_plan.STOCK, ())}
        return sum(outcome.seed in stock for outcome in self.outcomes[arm])

    def values(self, arm: str, quantity: str) -> list[float]:
        """`quantity` of each run of an arm."""
        if quantity == "joules":
            return [outcome.energy["joules"] for outcome in self.outcomes[arm]]
        return [getattr(outcome, quantity) for outcome in self.outcomes[arm]]

    def _ratio(
        self, arm: str, stock: Sequence[float | None], own: Sequence[float | None]
    ) -> statistics.RatioInterval | None:
        by_seed = dict(zip((outcome.seed for outcome in self.outcomes[study_plan.STOCK]), stock))
        pairs = [(by_seed.get(outcome.seed), value) for outcome, value in zip(self.outcomes[arm], own)]
        whole = [(first, second) for first, second in pairs if first and second]
        if not whole:
            return None
        return statistics.ratio_and_interval([first for first, _ in whole], [second for _, second in whole])


def write_floors(root: pathlib.Path, floors: Mapping[str, float]) -> None:
    """Keeps `StudyConfig.floor_return` by task, for `read`; those of other tasks stay.

    Raises:
      ArtifactError: the kept ones are damaged.
      StorageError: they can't be written.
    """
    files.write_json(root / _FLOORS_FILE, {**_read_floors(root / _FLOORS_FILE), **floors})


def read(root: pathlib.Path) -> list[TaskResult]:
    """Every task of a study, with its runs that have used their budget in one go.

    Args:
      root: of the study, with a directory for each task; without the file of `write_floors` all floors are 0.

    Raises:
      ConfigError: there is no run.
      ArtifactError: a file is damaged.
    """
    results: list[TaskResult] = []
    if not root.is_dir():
        raise errors.ConfigError(f"{root} is no directory; give that of a study")
    floors = _read_floors(root / _FLOORS_FILE)
    for directory in sorted(path for path in root.iterdir() if path.is_dir()):
        outcomes = [_read_outcome(path) for path in _runs(directory) if _is_whole(path)]
        if outcomes:
            by_arm = {arm: sorted(_of(outcomes, arm), key=lambda one: one.seed) for arm in study_config.ARMS}
            kept = {arm: found for arm, found in by_arm.items() if found}
            results.append(TaskResult(directory.name, kept, floors.get(directory.name, 0.0)))
    if not results:
        raise errors.ConfigError(
            f"{root} has no ended runs, and {len(left_out(root))} others; is it the directory of a study?"
        )
    return results


def left_out(root: pathlib.Path) -> list[str]:
    """The runs of a study that `read` leaves out, like 'task/I8_seed3': those that go on, failed, were interrupted, resumed or never judged."""
    return [
        f"{path.parent.name}/{path.name}"
        for task in sorted(root.iterdir())
        for path in _runs(task)
        if not _is_whole(path)
    ]


def _read_floors(path: pathlib.Path) -> dict[str, float]:
    try:
        return dict(json.loads(path.read_text())) if path.is_file() else {}
    except (OSError, ValueError, TypeError) as error:
        raise errors.ArtifactError(f"{path} can't be read: {error}; was it edited?") from error


def _of(outcomes: Iterable[Outcome], arm: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.arm == arm]


def _runs(task: pathlib.Path) -> list[pathlib.Path]:
    """Directories of a task's runs, ended or not."""
    return sorted(path for path in task.glob("*_seed*") if _RUN_NAME.fullmatch(path.name))


def _is_whole(path: pathlib.Path) -> bool:
    """Whether a run has made all of its steps in one go, and a policy of it was judged.

    Half a run takes half the time and energy, and the times of one that was resumed tell nothing.
    """
    if not study.is_complete(path):
        return False
    summary = run_directory.RunDirectory(path).read_summary()
    return not summary.get("num_resumes") and summary["last_policy"]["int8"] is not None


def _read_outcome(path: pathlib.Path) -> Outcome:
    arm, seed = _RUN_NAME.fullmatch(path.name).groups()  # type: ignore[union-attr]
    run = training_report.read_run(path)
    rows = list(jsonl.read_rows(path / "metrics.jsonl"))
    wall_sec = max(row.time_sec for row in rows if row.group == names.CONVERT)
    breakdown = _breakdown(rows, run.summary["env_steps"])
    return Outcome(
        arm,
        int(seed),
        run,
        wall_sec,
        breakdown,
        parity_counts.count(rows),
        scaling_measurement.measure(rows, run.summary),
    )


def _breakdown(rows: Iterable[jsonl.MetricRow], env_steps: int) -> dict[str, float]:
    """Of the last row of each collector."""
    last = {row.group: row.values for row in rows if row.group.startswith(f"{names.COLLECT}/")}
    return {
        part: 1e6 * sum(values.get(name, 0.0) for values in last.values()) / env_steps
        for part, name in _PART_NAMES.items()
    }
