"""Tests of `tfquarl.program.summary` and `tfquarl.program.budget`."""

import dataclasses
import os

import pytest

from tfquarl.program import budget as budget_lib
from tfquarl.program import gin_loading
from tfquarl.program import run_directory
from tfquarl.program import summary as summary_lib

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"


@pytest.fixture(scope="module")
def experiment():
    os.environ.setdefault("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
    return gin_loading.load([_EXPERIMENT], ["Experiment.seed = 4"]).experiment


def _evaluation(version, mean_return, confirmed=True, recipe="static_wi8_ai8"):
    estimate = {"mean_return": mean_return, "low": mean_return - 1, "high": mean_return + 1, "episodes": 100}
    return {
        "version": version,
        "train_step": version * 100,
        "recipe": recipe,
        "confirmed": confirmed,
        "quantized": estimate,
        "float32": {**estimate, "mean_return": mean_return + 0.5},
        "size_bytes": {"quantized": 71_312, "float32": 271_808},
    }


def _progress(*evaluations):
    return budget_lib.Progress({0: 120, 1: 80}, 50, list(evaluations), 3)


def _make(experiment, *evaluations, status=budget_lib.Status.COMPLETED, reason=None):
    return summary_lib.make_summary(experiment, _progress(*evaluations), status, reason, 12.5)


def test_a_run_without_a_verdict(experiment):
    summary = _make(experiment, status=budget_lib.Status.FAILED, reason="learner: exit code 1")
    assert summary["status"] == "failed" and summary["reason"] == "learner: exit code 1"
    assert (summary["env_steps"], summary["train_steps"], summary["wall_time_sec"]) == (200, 50, 12.5)
    assert (summary["seed"], summary["recipe"]) == (4, "static_wi8_ai8")
    assert summary["policy_version"] is summary["int8"] is summary["float32"] is None
    assert not summary["confirmed"]


def test_how_long_actions_were_held_is_kept(experiment):
    environment = dataclasses.replace(experiment.environment, action_repeat=2)
    summary = _make(dataclasses.replace(experiment, environment=environment))
    assert (summary["env_steps"], summary["action_repeat"]) == (200, 2)


@pytest.mark.parametrize(
    ("evaluations", "best", "last"),
    [
        pytest.param([(1, 10.0, True)], 1, 1, id="one"),
        pytest.param([(1, 10.0, True), (2, 30.0, True), (3, 20.0, True)], 2, 3, id="best_is_not_the_last"),
        pytest.param([(1, 10.0, True), (2, 99.0, False)], 1, 2, id="a_first_look_is_no_best"),
        pytest.param([(1, 10.0, False), (2, 9.0, False)], 2, 2, id="none_confirmed"),
        pytest.param([(1, -10.0, True), (2, -30.0, True)], 1, 2, id="negative_returns"),
        pytest.param([(1, 10.0, True), (2, 10.0, True), (3, 9.0, True)], 2, 3, id="newer_of_equals"),
    ],
)
def test_the_best_confirmed_policy_and_the_last_one_are_told(experiment, evaluations, best, last):
    summary = _make(experiment, *[_evaluation(*evaluation) for evaluation in evaluations])
    assert summary["policy_version"] == best and summary["last_policy"]["policy_version"] == last
    assert (summary["train_step"], summary["last_policy"]["train_step"]) == (100 * best, 100 * last)
    mean_return = next(value for version, value, _ in evaluations if version == best)
    assert summary["int8"] == {
        "mean_return": mean_return,
        "confidence_interval": [mean_return - 1, mean_return + 1],
        "episodes": 100,
        "size_bytes": 71_312,
    }
    assert summary["float32"]["mean_return"] == mean_return + 0.5
    assert summary["float32"]["size_bytes"] == 271_808


@pytest.mark.parametrize(("confirmed", "which"), [(True, "best"), (False, "latest")])
def test_the_end_is_told_in_a_few_lines(experiment, confirmed, which):
    summary = _make(experiment, _evaluation(3, 152.93, confirmed))
    first, header, _, int8, float32, policy, directory = summary_lib.describe(
        summary, run_directory.RunDirectory("runs/a")
    ).splitlines()
    assert first == "completed after 200 env steps, 50 train steps, 12 s"
    assert header.split()[0] == "policy"
    assert int8.split() == ["static_wi8_ai8", "152.9", "151.9", "..", "153.9", "100", "71,312"]
    assert float32.split() == ["float32", "153.4", "151.9", "..", "153.9", "100", "271,808"]
    assert policy == f"policy 3: runs/a/policies/{which}/policy.tflite"
    assert directory == "run directory: runs/a"


def test_a_float_policy_in_the_place_of_a_quantized_one_is_named_so(experiment):
    summary = _make(experiment, _evaluation(1, 10.0), _evaluation(2, 20.0, recipe="float32"), _evaluation(3, 15.0))
    assert (summary["recipe"], summary["last_policy"]["recipe"]) == ("float32", "static_wi8_ai8")
    table = summary_lib.describe(summary, run_directory.RunDirectory("runs/a")).splitlines()[3:5]
    assert [line.split()[0] for line in table] == ["float32", "float32"]


def test_the_end_without_a_verdict_is_told_too(experiment):
    text = summary_lib.describe(_make(experiment), run_directory.RunDirectory("runs/a"))
    first, second, directory = text.splitlines()
    assert first == "completed after 200 env steps, 50 train steps, 12 s"
    assert second.startswith("no policy was judged, and none is kept in runs/a/policies: ")
    assert directory == "run directory: runs/a"


def test_the_end_without_an_environment_step_tells_of_it(experiment):
    summary = summary_lib.make_summary(experiment, budget_lib.Progress(), budget_lib.Status.COMPLETED, None, 0.5)
    second = summary_lib.describe(summary, run_directory.RunDirectory("runs/a")).splitlines()[1]
    assert second.startswith("no policy was judged, and none is kept in runs/a/policies: no environment step was made")
    assert "Experiment.max_wall_time_sec" in second and "LearnerConfig.max_train_steps" in second


@pytest.mark.parametrize(
    ("stop_at_return", "evaluation", "reached"),
    [
        pytest.param(475.0, _evaluation(1, 475.0), True, id="reached"),
        pytest.param(475.0, _evaluation(1, 474.9), False, id="below"),
        pytest.param(475.0, _evaluation(1, 500.0, confirmed=False), False, id="not_confirmed"),
        pytest.param(None, _evaluation(1, 500.0), False, id="no_target"),
        pytest.param(-100.0, _evaluation(1, -90.0), True, id="negative"),
    ],
)
def test_a_target_is_reached_by_a_confirmed_return(stop_at_return, evaluation, reached):
    assert _progress(evaluation).target_reached(stop_at_return) is reached


@pytest.mark.parametrize(
    ("version", "judged"), [(2, True), (3, True), (4, False), (None, False)], ids=["older", "same", "newer", "none"]
)
def test_a_policy_is_judged_when_it_or_a_newer_one_was(version, judged):
    assert _progress(_evaluation(1, 5.0), _evaluation(3, 4.0)).is_judged(version) is judged


def test_rows_of_metrics_are_counted(experiment):
    progress = budget_lib.Progress()
    progress.count("collect/0", 10, {"RunTime/snapshot_to_use_p95_sec": 0.2})
    progress.count("collect/1", 20, {})
    progress.count("train", 5, {"Losses/loss": 1.0})
    for passed in ({}, {"Parity/is_passed": 0.0}, {"Parity/is_passed": 1.0}, {"Parity/is_passed": 0.0}):
        progress.count("convert", 7, passed)
    progress.count("collect/1", 30, {"RunTime/snapshot_to_use_p95_sec": 0.3})
    assert (progress.env_steps, progress.train_steps) == ({0: 10, 1: 30}, 5)
    summary = summary_lib.make_summary(experiment, progress, budget_lib.Status.COMPLETED, None, 1.0)
    assert summary["snapshot_to_use_p95_sec"] == 0.3
    assert "snapshot_to_ready_p95_sec" not in summary
    assert summary["num_parity_failures"] == 2


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            "energy: 1,234 J (estimated at 10 W per busy core), 0.0617 J per env step; 0.165 g CO2e at 480 g per kWh (WORLD)",
        ),
        (
            {"watts_per_core": None, "joules_per_env_step": None},
            "energy: 1,234 J (measured by RAPL); 0.165 g CO2e at 480 g per kWh (WORLD)",
        ),
    ],
    ids=["estimated", "measured_without_steps"],
)
def test_energy_says_where_it_comes_from(changes, line):
    energy = {
        "joules": 1234.4,
        "kg_co2e": 1.6459e-4,
        "joules_per_env_step": 0.06172,
        "watts_per_core": 10.0,
        "grid_g_per_kwh": 480.0,
        "region": "WORLD",
    }
    assert summary_lib.format_energy({**energy, **changes}) == line
