"""Tests of `tfquarl.program.resumption`."""

import dataclasses
import json

import pytest

from tfquarl.core import errors
from tfquarl.metrics import jsonl
from tfquarl.program import budget as budget_lib
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import gin_loading
from tfquarl.program import resumption
from tfquarl.program import run_directory

_FILE = "configs/gin/experiments/dqn_cartpole_int8.gin"
_BINDINGS = ["Experiment.num_env_steps = 1000", "Experiment.stop_at_return = 400.0"]


@pytest.fixture(scope="module")
def loaded():
    return gin_loading.load([_FILE], _BINDINGS)


@pytest.fixture
def directory(tmp_path, loaded):
    """Of a run that has begun."""
    made = run_directory.RunDirectory(tmp_path / "run")
    made.create()
    made.write_configs(loaded.given, loaded.operative)
    return made


def _write(directory, *rows):
    writer = jsonl.JsonLinesWriter(directory.metrics_file)
    for group, step, values in rows:
        writer.write(jsonl.MetricRow(1.0, group, step, values))
    writer.close()


def _judge(directory, version, mean_return, confirmed=True):
    path = directory.policies / str(version)
    path.mkdir()
    verdict = {"version": version, "confirmed": confirmed, "quantized": {"mean_return": mean_return}}
    (path / "evaluation.json").write_text(json.dumps(verdict))


def test_a_new_directory_holds_no_run(tmp_path, loaded):
    directory = run_directory.RunDirectory(tmp_path / "new")
    assert resumption.find(directory, loaded.experiment) is None
    assert not directory.path.exists()


def test_figures_without_their_configuration_are_refused(tmp_path):
    directory = run_directory.RunDirectory(tmp_path)
    directory.metrics_file.write_text("")
    with pytest.raises(errors.ConfigError, match=r"without its operative_config.gin; give another --root_dir"):
        resumption.check_place(directory)


def test_a_run_that_was_killed_at_its_very_beginning_goes_on_from_nothing(directory, loaded):
    earlier = resumption.find(directory, loaded.experiment)
    assert earlier is not None
    assert earlier.begin() == budget_lib.Progress(num_resumes=1)


def test_counters_and_verdicts_come_back(directory, loaded):
    _write(
        directory,
        ("collect/0", 100, {"Metrics/EnvironmentSteps": 100, "Metrics/NumberOfEpisodes": 7, "Policy/version": 3}),
        ("collect/1", 50, {"Metrics/NumberOfEpisodes": 2}),
        ("collect/0", 130, {"Metrics/NumberOfEpisodes": 9, "Policy/version": 4}),
        ("train", 640, {"Policy/snapshot_version": 6}),
        ("run", 120, {"Restarts/learner": 2}),
        ("run", 130, {"Run/num_resumes": 1, "Run/past_version": 2}),
    )
    _judge(directory, 2, 300.0)
    _judge(directory, 5, 20.0, confirmed=False)
    progress = resumption.read_progress(directory)
    assert (progress.env_steps, progress.episodes) == ({0: 130, 1: 50}, {0: 9, 1: 2})
    assert (progress.train_steps, progress.newest_version) == (640, 6)
    assert (progress.num_resumes, progress.num_restarts, progress.past_version) == (1, {"learner": 2}, 2)
    assert [evaluation["version"] for evaluation in progress.evaluations] == [2, 5]


def test_versions_go_on_from_the_newest_that_was_kept(directory):
    _write(directory, ("train", 640, {"Policy/snapshot_version": 6}))
    _judge(directory, 8, 20.0)
    assert resumption.read_progress(directory).newest_version == 8


def test_another_configuration_is_refused_with_the_difference(directory):
    other = gin_loading.load([_FILE], [*_BINDINGS, "DqnBuilder.n_step = 2"]).experiment
    with pytest.raises(
        errors.ConfigError, match=r"can't go on with another configuration: DqnBuilder.n_step: 10 -> 2;"
    ):
        resumption.find(directory, other)


@pytest.mark.parametrize(
    ("status", "changes", "is_complete"),
    [
        pytest.param("completed", {}, True, id="completed"),
        pytest.param("target_reached", {}, True, id="target_reached"),
        pytest.param("interrupted", {}, False, id="interrupted"),
        pytest.param("failed", {}, False, id="failed"),
        pytest.param(None, {}, False, id="killed"),
        pytest.param("completed", {"num_env_steps": 2000}, False, id="more_steps"),
        pytest.param("completed", {"num_env_steps": 500}, True, id="fewer_steps"),
        pytest.param("target_reached", {"num_env_steps": 2000}, False, id="more_steps_than_the_target_took"),
        pytest.param("target_reached", {"stop_at_return": 450.0}, False, id="a_higher_target"),
        pytest.param("target_reached", {"stop_at_return": None}, False, id="no_target_any_more"),
        pytest.param("target_reached", {"stop_at_return": 300.0}, True, id="a_lower_target"),
    ],
)
def test_when_nothing_is_left_to_do(directory, loaded, status, changes, is_complete):
    if status is not None:
        directory.write_summary({"status": status})
    experiment = dataclasses.replace(loaded.experiment, **changes)
    earlier = resumption.find(directory, experiment)
    assert earlier is not None and earlier.is_complete(experiment) == is_complete


@pytest.mark.parametrize("name", ["max_wall_time_sec", "max_train_steps"])
@pytest.mark.parametrize(("before", "is_complete"), [(10, False), (20, True)], ids=["raised", "lowered"])
def test_limits_of_time_and_of_train_steps_count_too(directory, loaded, name, before, is_complete):
    learner = dataclasses.replace(loaded.experiment.learner, max_train_steps=15)
    experiment = dataclasses.replace(loaded.experiment, max_wall_time_sec=15.0, learner=learner)
    limits = {**experiment_lib.limits_of(experiment), name: before}
    directory.write_summary({"status": "completed", "limits": limits})
    earlier = resumption.find(directory, experiment)
    assert earlier is not None and earlier.is_complete(experiment) == is_complete


@pytest.mark.parametrize(
    ("num_env_steps", "is_complete"), [pytest.param(1000, False, id="more"), pytest.param(500, True, id="no_more")]
)
def test_a_completed_run_goes_on_though_an_attempt_to_has_failed(directory, loaded, num_env_steps, is_complete):
    """That attempt has written its configuration, of 1000 steps, and kept the summary of the 500 before."""
    directory.write_summary({"status": "completed", "limits": {"num_env_steps": 500, "stop_at_return": 400.0}})
    experiment = dataclasses.replace(loaded.experiment, num_env_steps=num_env_steps)
    earlier = resumption.find(directory, experiment)
    assert earlier is not None and earlier.is_complete(experiment) == is_complete


@pytest.mark.parametrize(
    ("status", "is_reached"),
    [
        pytest.param("target_reached", False, id="raised_by_the_user"),
        pytest.param(None, True, id="killed_just_before_its_end"),
    ],
)
def test_a_target_that_was_reached_ends_no_run_twice(directory, loaded, status, is_reached):
    _judge(directory, 3, 410.0)
    if status is not None:
        directory.write_summary({"status": status})
    earlier = resumption.find(directory, loaded.experiment)
    assert earlier is not None
    progress = earlier.begin()
    assert progress.target_reached(400.0) == is_reached
    progress.evaluations.append({"version": 4, "confirmed": True, "quantized": {"mean_return": 405.0}})
    assert progress.target_reached(400.0)
