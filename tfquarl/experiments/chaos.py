"""Runs whose processes are killed at random, and what has to hold of them nevertheless."""

import collections
from collections.abc import Iterator
import dataclasses
import json
import pathlib
import random
import time

from absl import logging
import numpy as np

from tfquarl.environments import registry
from tfquarl.experiments import run_process
from tfquarl.metrics import jsonl
from tfquarl.metrics import names
from tfquarl.program import archive
from tfquarl.program import command_line
from tfquarl.program import gin_loading
from tfquarl.program import replay_audit
from tfquarl.program import resumption
from tfquarl.program import run_directory

KINDS = ("server", "learner", "converter", "collector", "evaluator")

_TICK_SEC = 0.2
# So that what a death costs is lost in seconds, and none of so many is too many.
_BINDINGS = (
    "SupervisionConfig.max_deaths = 1_000",
    "SupervisionConfig.first_backoff_sec = 0.2",
    "SupervisionConfig.max_backoff_sec = 1.0",
    "LearnerConfig.checkpoint_period_sec = 3.0",
    "ReplayConfig.checkpoint_period_sec = 3.0",
)

_ENDLESS = ("Experiment.num_env_steps = 1_000_000_000", "Experiment.stop_at_return = None")


@dataclasses.dataclass(frozen=True)
class ChaosConfig:
    """What is done to a run of CartPole.

    Attributes:
      gin_files: of the experiment.
      bindings: gin bindings besides.
      num_kills: processes that are killed; each kind in its turn, in random order.
      period_sec: mean seconds between two of them.
      num_run_kills: times that a whole run is killed, and gone on with.
      max_life_sec: longest time that a whole run lives before it is killed.
      timeout_sec: seconds that a run may take.
      seed: of what is random.
    """

    gin_files: tuple[str, ...]
    bindings: tuple[str, ...] = ()
    num_kills: int = 20
    period_sec: float = 4.0
    num_run_kills: int = 10
    max_life_sec: float = 30.0
    timeout_sec: float = 1800.0
    seed: int = 0


@dataclasses.dataclass
class ChaosReport:
    """What came of it.

    Attributes:
      kills: processes killed, by kind.
      figures: by name.
      faults: what should not be; empty if all is well.
    """

    kills: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    faults: list[str] = dataclasses.field(default_factory=list)


def kill_processes(config: ChaosConfig, run_dir: pathlib.Path) -> ChaosReport:
    """Kills one process after another through a whole run; its end, and what it left, is checked.

    Neither target nor budget ends the run before all kills are done: then it is interrupted, when a newer policy has been judged and
    the experiment's target, if it has one, was reached.
    """
    report, chance = ChaosReport(), random.Random(config.seed)
    victims, target = _victims(chance), _load(config).experiment.stop_at_return
    process = _start(_endless(config), run_dir)
    try:
        end = time.perf_counter() + config.timeout_sec
        _wait_for_policy(process, run_dir, 0, end)
        for _ in range(config.num_kills):
            _wait_for_all(process, end)
            process.wait(chance.uniform(0.5, 1.5) * config.period_sec)
            victim = next(victims)
            pids = [pid for name, pid in sorted(process.nodes().items()) if name.split("_")[0] == victim]
            if pids:  # none where the run has ended
                run_process.kill_one(chance.choice(pids))
                report.kills[victim] += 1
        _wait_for_policy(process, run_dir, _judged(run_dir) + 1, end)  # made and judged after the last kill
        if target is not None:
            _wait_for_return(process, run_dir, target, end)
        process.interrupt()
        process.wait(max(0.0, end - time.perf_counter()))
        _check_end(process, config, report)
    finally:
        process.kill()
    _check_directory(config, run_dir, report)
    return report


def kill_runs(config: ChaosConfig, run_dir: pathlib.Path) -> ChaosReport:
    """Kills a whole run at random moments and goes on with it; its directory is read after each.

    At last it goes on for its `num_env_steps`, to its end.
    """
    report, chance = ChaosReport(), random.Random(config.seed)
    endless = _endless(config)
    for _ in range(config.num_run_kills):
        process = _start(endless, run_dir)
        try:
            if process.wait(chance.uniform(0.0, config.max_life_sec)):
                report.faults.append(f"a run ended by itself, with exit code {process.exit_code}")
        finally:
            process.kill()
        report.kills["run"] += 1
        _check_readable(endless, run_dir, report)
    progress = resumption.read_progress(run_directory.RunDirectory(run_dir))
    num_env_steps = progress.total_env_steps + _load(config).experiment.num_env_steps
    config = dataclasses.replace(config, bindings=(*config.bindings, f"Experiment.num_env_steps = {num_env_steps}"))
    process = _start(config, run_dir)
    try:
        process.wait(config.timeout_sec)
        _check_end(process, config, report, num_kills=0)
    finally:
        process.kill()
    _check_directory(config, run_dir, report)
    return report


def _start(config: ChaosConfig, run_dir: pathlib.Path) -> run_process.RunProcess:
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    log = run_dir.with_name(f"{run_dir.name}.log")
    return run_process.RunProcess(list(config.gin_files), [*_BINDINGS, *config.bindings], run_dir, log)


def _endless(config: ChaosConfig) -> ChaosConfig:
    """The same, of a run that ends by nothing that it reaches."""
    return dataclasses.replace(config, bindings=(*config.bindings, *_ENDLESS))


def _victims(chance: random.Random) -> Iterator[str]:
    """Kinds of processes for ever: all of them in random order, again and again."""
    while True:
        yield from chance.sample(KINDS, len(KINDS))


def _wait_for_all(process: run_process.RunProcess, end: float) -> None:
    """Waits until every kind of process is there, or the run has ended."""
    while time.perf_counter() < end and {name.split("_")[0] for name in process.nodes()} != set(KINDS):
        if process.wait(_TICK_SEC):
            return


def _wait_for_policy(process: run_process.RunProcess, run_dir: pathlib.Path, newer_than: int, end: float) -> None:
    """Waits until a policy of a newer version has been judged, or the run has ended."""
    while time.perf_counter() < end and _judged(run_dir) <= newer_than:
        if process.wait(_TICK_SEC):
            return


def _wait_for_return(process: run_process.RunProcess, run_dir: pathlib.Path, target: float, end: float) -> None:
    """Waits until a policy has earned `target` on fresh episodes, or the run has ended."""
    while time.perf_counter() < end and not _has_earned(run_dir, target):
        if process.wait(_TICK_SEC):
            return


def _has_earned(run_dir: pathlib.Path, target: float) -> bool:
    verdicts = archive.PolicyArchive(run_dir).evaluations()
    return any(verdict["confirmed"] and verdict["quantized"]["mean_return"] >= target for verdict in verdicts)


def _judged(run_dir: pathlib.Path) -> int:
    """The newest version that has been judged; 0 before the first."""
    return max(archive.PolicyArchive(run_dir).versions(), default=0)


def _check_end(
    process: run_process.RunProcess, config: ChaosConfig, report: ChaosReport, num_kills: int | None = None
) -> None:
    wanted, killed = config.num_kills if num_kills is None else num_kills, sum(report.kills.values())
    if process.exit_code is None:
        report.faults.append(f"the run did not end within {config.timeout_sec:g} s")
    elif process.exit_code != (command_line.INTERRUPTED if wanted else 0):
        report.faults.append(f"the run ended with exit code {process.exit_code}")
    if killed < wanted:
        report.faults.append(f"the run ended after {killed} of {wanted} kills")
    if process.exit_code is not None and process.pids():
        report.faults.append(f"processes were left behind: {process.pids()}")


def _check_readable(config: ChaosConfig, run_dir: pathlib.Path, report: ChaosReport) -> None:
    """What a run leaves that was killed at any moment can be read, and gone on with."""
    directory = run_directory.RunDirectory(run_dir)
    try:
        resumption.find(directory, _load(config).experiment)
        for version in archive.PolicyArchive(run_dir).versions():
            archive.load(run_dir, str(version))
    except Exception as error:  # whatever it is, a user would meet it
        report.faults.append(f"the directory of a killed run can't be read: {type(error).__name__}: {error}")


def _check_directory(config: ChaosConfig, run_dir: pathlib.Path, report: ChaosReport) -> None:
    """What a run left that has ended."""
    _check_readable(config, run_dir, report)
    try:
        _check_figures(config, run_dir, report)
        _check_transitions(config, run_dir, report)
    except Exception as error:
        report.faults.append(f"what the run left can't be checked: {type(error).__name__}: {error}")


def _check_figures(config: ChaosConfig, run_dir: pathlib.Path, report: ChaosReport) -> None:
    summary = json.loads((run_dir / "summary.json").read_text())
    target = _load(config).experiment.stop_at_return
    best = -np.inf if summary["int8"] is None else summary["int8"]["mean_return"]
    if target is not None and not (best >= target and summary["confirmed"]):
        report.faults.append(f"the int8 policy reached {best}, not {target}")
    env_steps: dict[str, int] = {}
    published = used = refused = 0
    for row in jsonl.read_rows(run_dir / "metrics.jsonl"):
        version = int(row.values.get(names.POLICY_VERSION, 0))
        if row.group == names.CONVERT:
            published = max(published, version)
        elif row.group.startswith(f"{names.COLLECT}/"):
            used, refused = max(used, version), max(refused, int(row.values.get(names.NUM_REFUSED, 0)))
            if row.step < env_steps.get(row.group, 0):
                report.faults.append(
                    f"environment steps of {row.group} went back from {env_steps[row.group]} to {row.step}"
                )
            env_steps[row.group] = row.step
    report.figures |= {
        "mean return of the int8 policy": best,
        "env steps": summary["env_steps"],
        "wall time, s": summary["wall_time_sec"],
        "restarts": sum(summary["num_restarts"].values()),
        "resumptions": summary["num_resumes"],
        "newest policy published": published,
        "newest policy acted by": used,
        "policies refused by a collector": refused,
    }


def _check_transitions(config: ChaosConfig, run_dir: pathlib.Path, report: ChaosReport) -> None:
    experiment = _load(config).experiment
    spec = registry.spec(experiment.environment.name, experiment.environment.action_repeat)
    rows = replay_audit.read_rows(run_directory.RunDirectory(run_dir), experiment, spec)
    faults = replay_audit.faults(rows, experiment, spec, cartpole_fault)
    report.figures |= {"transitions checked": len(rows), "of these faulty": len(faults)}
    report.faults += [f"transition: {fault}" for fault in faults[:5]]
    logging.info("%d transitions checked, %d faulty", len(rows), len(faults))


def cartpole_fault(before: np.ndarray, after: np.ndarray, num_steps: int) -> str | None:
    """What is wrong with CartPole's way from [x, v, angle, w] to another in `num_steps` steps of 0.02 s, if anything.

    A step changes v by less than 0.25 (force 10 N on about 1 kg), and x by 0.02 s times v.
    """
    distance, change = abs(after[0] - before[0]), abs(after[1] - before[1])
    if change > 0.25 * num_steps or distance > 0.02 * num_steps * (abs(before[1]) + 0.25 * num_steps) + 1e-4:
        return f"{before} and {after} are not {num_steps} steps apart"
    return None


def _load(config: ChaosConfig) -> gin_loading.LoadedExperiment:
    return gin_loading.load(config.gin_files, [*_BINDINGS, *config.bindings])
