"""Runs whose processes are killed, in the short form; //tools:chaos is the long one."""

from tfquarl.experiments import chaos
from tfquarl.experiments import resumed_runs
from tfquarl.testing import train_process

_FILES = ("configs/gin/experiments/dqn_cartpole_int8.gin",)


def test_a_run_survives_the_death_of_its_processes(tmp_path):
    config = chaos.ChaosConfig(_FILES, train_process.SMALL, num_kills=3, period_sec=1.5, timeout_sec=240.0)
    report = chaos.kill_processes(config, tmp_path / "run")
    assert report.faults == []
    assert sum(report.kills.values()) == 3
    assert report.figures["restarts"] >= 3
    assert report.figures["transitions checked"] > 0


def test_a_run_that_was_killed_whole_goes_on(tmp_path):
    bindings = (*train_process.SMALL, "Experiment.num_env_steps = 300")
    config = chaos.ChaosConfig(_FILES, bindings, num_run_kills=1, max_life_sec=10.0, timeout_sec=240.0)
    report = chaos.kill_runs(config, tmp_path / "run")
    assert report.faults == []
    assert report.figures["env steps"] >= 300


def test_runs_that_are_stopped_make_the_same_steps_as_others(tmp_path):
    bindings = (*train_process.SMALL, "Experiment.num_env_steps = 1_500", "LearnerConfig.checkpoint_period_sec = 1.0")
    config = resumed_runs.ResumedRunsConfig(_FILES, bindings, (1,), num_interruptions=1, num_episodes=2)
    said = []
    outcomes = resumed_runs.make(config, tmp_path, said.append)
    assert [(outcome.arm, outcome.num_resumes) for outcome in outcomes] == [
        ("plain", 0),
        ("interrupted", 1),
        ("killed", 1),
    ]
    assert all(1_500 <= outcome.env_steps < 2_500 for outcome in outcomes)
    assert resumed_runs.make(config, tmp_path, said.append) == outcomes
    assert said == ["seed 1, plain", "seed 1, interrupted", "seed 1, killed"]
