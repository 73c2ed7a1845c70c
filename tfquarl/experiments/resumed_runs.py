"""Runs that were stopped and gone on with beside runs that were not: the same seeds, the same environment steps, what they come to."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
import pathlib
import random
import time

from tfquarl.core import errors
from tfquarl.experiments import kept_plan
from tfquarl.experiments import run_process
from tfquarl.experiments import study
from tfquarl.metrics import jsonl
from tfquarl.metrics import statistics
from tfquarl.program import budget as budget_lib
from tfquarl.program import evaluation
from tfquarl.program import gin_loading
from tfquarl.program import run_directory

PLAIN, INTERRUPTED, KILLED = "plain", "interrupted", "killed"
ARMS = (PLAIN, INTERRUPTED, KILLED)

_TICK_SEC = 0.1
_STOP_SEC = 60.0
# Moments lie in this part of a run: before there is nothing to lose, and after it might end by itself first.
_FIRST, _LAST = 0.1, 0.9


@dataclasses.dataclass(frozen=True)
class ResumedRunsConfig:
    """Which runs are made.

    Attributes:
      gin_files: of the experiment; its num_env_steps is what every run makes in all, and no return ends one sooner.
      bindings: gin bindings besides.
      seeds: of the runs; each has one run of each of `ARMS`.
      num_interruptions: of a run that is interrupted (Ctrl-C) or killed (SIGKILL of all its processes), and gone on with after each.
      num_episodes: fresh ones, by which the last policy of each run is judged.
      timeout_sec: seconds that a part of a run may take.
    """

    gin_files: tuple[str, ...]
    bindings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1, 2, 3)
    num_interruptions: int = 2
    num_episodes: int = 100
    timeout_sec: float = 7200.0

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            told = ", ".join(map(str, self.seeds)) or "none"
            raise errors.ConfigError(f"seeds are {told}, needs one or more, each once")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
      arm: one of `ARMS`.
      seed: of the run.
      num_resumes: times that it was gone on with.
      env_steps: in all.
      train_steps: of its learner.
      mean_return: of its last int8 policy, over fresh episodes.
      low: lower end of its 95% interval.
      high: upper end.
      wall_time_sec: of all its parts, start-up included.
    """

    arm: str
    seed: int
    num_resumes: int
    env_steps: int
    train_steps: int
    mean_return: float
    low: float
    high: float
    wall_time_sec: float


def make(config: ResumedRunsConfig, root: pathlib.Path, say: Callable[[str], None]) -> list[Outcome]:
    """Makes all runs below `root` that are not there yet, and judges each.

    Raises:
      ConfigError: `root` holds runs with other settings, or something else, or is in use.
      NodeFailedError: a run failed.
    """
    outcomes = []
    with kept_plan.go_on(root, kept_plan.KeptPlan("comparison", settings(config))):
        for seed in config.seeds:
            for arm in ARMS:
                directory = root / f"{arm}_seed{seed}"
                if not study.is_complete(directory):
                    say(f"seed {seed}, {arm}")
                    run_directory.RunDirectory(directory).remove()
                    _run(config, arm, seed, directory)
                outcomes.append(_judge(config, arm, seed, directory))
    return outcomes


def differences(outcomes: Sequence[Outcome]) -> dict[str, statistics.MeanInterval]:
    """By arm: its mean return less that of the plain run of the same seed, in the mean over seeds."""
    plain = {outcome.seed: outcome.mean_return for outcome in outcomes if outcome.arm == PLAIN}
    return {
        arm: statistics.mean_and_interval([one.mean_return - plain[one.seed] for one in outcomes if one.arm == arm])
        for arm in (INTERRUPTED, KILLED)
    }


def moments(num_env_steps: int, num_interruptions: int, chance: random.Random) -> list[float]:
    """Environment steps after which a run is stopped: a random one in each of as many equal parts of the run."""
    part = (_LAST - _FIRST) / max(1, num_interruptions)
    return [num_env_steps * (_FIRST + part * (number + chance.random())) for number in range(num_interruptions)]


def settings(config: ResumedRunsConfig) -> dict[str, str]:
    """What decides the runs of all seeds alike, as text by name."""
    loaded = gin_loading.load(config.gin_files, [*config.bindings, *_bindings(0)])
    values = kept_plan.settings_of(loaded.experiment)
    del values["Experiment.seed"]
    return {"num_interruptions": str(config.num_interruptions), **values}


def _bindings(seed: int) -> list[str]:
    return [f"Experiment.seed = {seed}", "Experiment.stop_at_return = None"]


def _run(config: ResumedRunsConfig, arm: str, seed: int, directory: pathlib.Path) -> None:
    """Makes one run to its end."""
    bindings = [*config.bindings, *_bindings(seed)]
    num_env_steps = gin_loading.load(config.gin_files, bindings).experiment.num_env_steps
    stops = [] if arm == PLAIN else moments(num_env_steps, config.num_interruptions, random.Random(f"{arm} {seed}"))
    log = directory.with_name(f"{directory.name}.log")
    for stop in [*stops, math.inf]:
        process = run_process.RunProcess(list(config.gin_files), bindings, directory, log)
        try:
            _wait_for_steps(process, directory, stop, config.timeout_sec)
            if arm == INTERRUPTED and stop < math.inf:
                process.interrupt()
                process.wait(_STOP_SEC)
        finally:
            process.kill()
    if not study.is_complete(directory):
        raise errors.NodeFailedError(f"{directory}: the run did not end well; look at {log}, and run this again")


def _wait_for_steps(process: run_process.RunProcess, directory: pathlib.Path, stop: float, timeout_sec: float) -> None:
    """Waits until the run has made `stop` environment steps, and some since it was started, or has ended."""
    kept = run_directory.RunDirectory(directory)
    begun = _env_steps(kept)
    end = time.perf_counter() + timeout_sec
    while time.perf_counter() < end and not process.wait(_TICK_SEC):
        env_steps = 0 if stop == math.inf else _env_steps(kept)
        if env_steps >= stop and env_steps > begun:
            return


def _env_steps(directory: run_directory.RunDirectory) -> int:
    """Of the run so far, by its figures alone: the policies of a run that goes on come and go."""
    progress = budget_lib.Progress()
    if directory.metrics_file.exists():
        for row in jsonl.read_rows(directory.metrics_file):
            progress.count(row.group, row.step, row.values)
    return progress.total_env_steps


def _judge(config: ResumedRunsConfig, arm: str, seed: int, directory: pathlib.Path) -> Outcome:
    summary = run_directory.RunDirectory(directory).read_summary()
    verdict = evaluation.judge(
        evaluation.open_policy(directory, "latest"), config.num_episodes, evaluation.FRESH_SEED + seed
    )
    estimate = verdict.estimate
    return Outcome(
        arm,
        seed,
        summary["num_resumes"],
        summary["env_steps"],
        summary["train_steps"],
        estimate.mean_return,
        estimate.low,
        estimate.high,
        summary["wall_time_sec"],
    )
