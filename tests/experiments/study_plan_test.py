"""Tests of `tfquarl.experiments.study_plan` and `tfquarl.program.study_config`."""

import pathlib

import pytest

from tfquarl.core import errors
from tfquarl.experiments import stock_nodes
from tfquarl.experiments import study_plan
from tfquarl.program import gin_loading
from tfquarl.program import layout
from tfquarl.program import study_config

_FILE = "configs/gin/experiments/actorq_cartpole.gin"


def test_every_seed_goes_through_all_tasks_and_the_arms_take_turns_in_coming_first(tmp_path):
    other = tmp_path / "other.gin"
    other.write_text(f"include '{_FILE}'\nExperiment.name = 'other'\nStudyConfig.seeds = (5,)\n")
    plan = study_plan.make_plan([_FILE, str(other)], ["StudyConfig.arms = ('S', 'F32', 'I8')"])
    # The binding wins over both files; the seeds are each file's own.
    assert [(one.task, one.seed, one.arm) for one in plan] == [
        *[("actorq_cartpole", 1, arm) for arm in ("S", "F32", "I8")],
        *[("other", 5, arm) for arm in ("F32", "I8", "S")],
        *[("actorq_cartpole", 2, arm) for arm in ("F32", "I8", "S")],
        *[("actorq_cartpole", 3, arm) for arm in ("I8", "S", "F32")],
    ]
    assert plan[-1].gin_file == _FILE
    assert plan[0].directory(pathlib.Path("a")) == pathlib.Path("a/actorq_cartpole/S_seed1")


@pytest.mark.parametrize(
    ("arm", "recipe"),
    [("S", "float32"), ("F32", "float32"), ("F16", "float16"), ("D8", "dynamic_wi8_afp32"), ("I8", "static_wi8_ai8")],
)
def test_arms_differ_in_recipe_and_seed_alone(arm, recipe):
    base = gin_loading.load([_FILE]).experiment
    experiment = gin_loading.load([_FILE], study_plan.bindings(arm, 7)).experiment
    assert (experiment.converter.recipe, experiment.seed, experiment.stop_at_return) == (recipe, 7, None)
    for part in ("environment", "agent", "replay", "learner", "collector", "evaluator", "scale", "num_env_steps"):
        assert getattr(experiment, part) == getattr(base, part)


def test_only_the_baseline_has_other_collectors():
    makers = {arm: study_plan.nodes_of(arm) for arm in study_config.ARMS}
    assert makers.pop("S") is stock_nodes.make_nodes
    assert set(makers.values()) == {layout.make_nodes}


def test_tasks_of_one_name_are_refused(tmp_path):
    other = tmp_path / "other.gin"
    other.write_text(f"include '{_FILE}'\n")
    with pytest.raises(errors.ConfigError, match="the tasks are actorq_cartpole, actorq_cartpole, needs each once"):
        study_plan.make_plan([_FILE, str(other)])


@pytest.mark.parametrize("task", ["gymnasium:CartPole-v1", "mine:maze"])
def test_the_baseline_is_refused_before_anything_runs_where_tf_agents_lacks_the_suite(task):
    bindings = [f"EnvironmentConfig.name = '{task}'"]
    without = study_plan.make_plan([_FILE], [*bindings, "StudyConfig.arms = ('F32', 'I8')"])
    assert {one.arm for one in without} == {"F32", "I8"}
    match = rf"tasks of gym and dm_control, not in '{task}'; leave arm S out, .*\('F32', 'I8'\)"
    with pytest.raises(errors.ConfigError, match=match):
        study_plan.make_plan([_FILE], bindings)


@pytest.mark.parametrize(
    ("bindings", "differing"),
    [
        (["StudyConfig.arms = ('I8',)", "StudyConfig.seeds = (9,)", "StudyConfig.floor_return = 3"], set()),
        (["Experiment.num_env_steps = 2_000"], {"actorq_cartpole/Experiment.num_env_steps"}),
        (["DqnBuilder.n_step = 3"], {"actorq_cartpole/DqnBuilder.n_step"}),
        (["Experiment.seed = 5", "ConverterConfig.recipe = 'float16'", "Experiment.stop_at_return = 4.0"], set()),
    ],
    ids=["arms and seeds", "budget", "agent", "what arms decide"],
)
def test_settings_are_what_all_runs_of_a_task_share(bindings, differing):
    first, second = study_plan.settings([_FILE]), study_plan.settings([_FILE], bindings)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == differing


def test_floors_are_told_by_task():
    assert study_plan.floors([_FILE], ["StudyConfig.floor_return = -200"]) == {"actorq_cartpole": -200.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ("S", "I4")}, r"arms are \('S', 'I4'\), needs some of S, F32, F16, D8, I8"),
        ({"arms": ("S", "S")}, "each once"),
        ({"arms": ()}, "arms are"),
        ({"seeds": ()}, r"seeds are \(\), needs at least one"),
        ({"seeds": (1, 1)}, "each once"),
    ],
    ids=["unknown", "twice", "no_arm", "no_seed", "seed_twice"],
)
def test_settings_that_make_no_study_are_refused(changes, message):
    with pytest.raises(errors.ConfigError, match=message):
        study_config.StudyConfig(**changes)
