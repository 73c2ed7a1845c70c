"""Tests of `tfquarl.experiments.study`."""

import json

import pytest

from tfquarl.core import errors
from tfquarl.experiments import study
from tfquarl.experiments import study_plan
from tfquarl.program import interrupts
from tfquarl.program import run_directory

_PLAN = [study_plan.StudyRun("a.gin", "task", arm, 1) for arm in ("S", "I8", "F32")]


class _Runs:
    """Starts runs that end as `ends` tells by arm: a status and an exit code."""

    def __init__(self, **ends):
        self.ends = ends
        self.started = []

    def __call__(self, one, directory):
        assert not directory.exists()
        self.started.append(one.arm)
        status, code = self.ends.get(one.arm, ("completed", 0))
        directory.mkdir()
        if status is not None:
            (directory / "summary.json").write_text(json.dumps({"status": status}))
        return code


def test_runs_are_made_in_order(tmp_path):
    runs, said = _Runs(), []
    study.run(_PLAN, tmp_path, runs, said.append)
    assert runs.started == ["S", "I8", "F32"]
    assert said[1] == "run 2 of 3: task I8 seed 1"


def test_one_run_that_its_arm_cannot_make_is_refused_before_it_starts(tmp_path):
    one = study_plan.StudyRun("configs/gin/experiments/actorq_cartpole.gin", "task", "S", 1)
    with pytest.raises(errors.ConfigError, match="not in 'gymnasium:CartPole-v1'"):
        study.make_run(one, tmp_path / "run", ["EnvironmentConfig.name = 'gymnasium:CartPole-v1'"])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("status", [None, "failed", "interrupted"])
def test_a_study_goes_on_where_it_was_broken_off_and_makes_that_run_anew(tmp_path, status):
    with pytest.raises((errors.NodeFailedError, KeyboardInterrupt)):
        study.run(_PLAN, tmp_path, _Runs(I8=(status, 130)), lambda line: None)
    runs, said = _Runs(), []
    study.run(_PLAN, tmp_path, runs, said.append)
    assert runs.started == ["I8", "F32"]
    assert said[0] == "run 1 of 3: task S seed 1: there already"


def test_a_failed_run_ends_the_study_and_is_named(tmp_path):
    with pytest.raises(
        errors.NodeFailedError, match=r"run 2 of 3: task I8 seed 1: exit code 1; look at .*summary\.json"
    ):
        study.run(_PLAN, tmp_path, _Runs(I8=("failed", 1)), lambda line: None)


def test_an_interrupted_run_interrupts_the_study(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        study.run(_PLAN, tmp_path, _Runs(S=("interrupted", 130)), lambda line: None)


def test_a_run_that_another_program_makes_is_left_alone(tmp_path):
    running = run_directory.RunDirectory(tmp_path / "task" / "S_seed1")
    running.create()
    with running.lock(), pytest.raises(errors.ConfigError, match=r"S_seed1 is in use by the run of process"):
        study.run(_PLAN, tmp_path, _Runs(), lambda line: None)
    assert running.checkpoints.is_dir()


_ENDS_IN_ORDER = """
import os, pathlib, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
os.kill(os.getppid(), signal.SIGTERM)
signal.sigwait({signal.SIGINT})
pathlib.Path(sys.argv[0]).with_name("ended").touch()
"""


def test_what_ends_the_study_ends_its_run_in_order(tmp_path, monkeypatch):
    script = tmp_path / "program.py"
    script.write_text(_ENDS_IN_ORDER)
    monkeypatch.setattr("sys.argv", [str(script)])
    with pytest.raises(KeyboardInterrupt), interrupts.raised():
        study.in_process_of_its_own([])(_PLAN[0], tmp_path / "run")
    assert (tmp_path / "ended").exists()


def test_each_run_is_this_program_with_its_arm_and_seed(tmp_path, monkeypatch):
    script = tmp_path / "program.py"
    script.write_text(
        "import sys, pathlib\npathlib.Path(sys.argv[0]).with_name('seen').write_text(repr(sys.argv[1:]))\n"
    )
    monkeypatch.setattr("sys.argv", [str(script), "--gin_file=of the study"])
    code = study.in_process_of_its_own(["A.b = 1"])(_PLAN[0], tmp_path / "run")
    assert code == 0
    assert (tmp_path / "seen").read_text() == repr(
        ["--gin_file=a.gin", f"--root_dir={tmp_path / 'run'}", "--arm=S", "--seed=1", "--gin_bindings=A.b = 1"]
    )
