"""Tests of `tfquarl.program.config_changes`."""

import pytest

from tfquarl.program import config_changes
from tfquarl.program import gin_loading

_FILE = "configs/gin/experiments/dqn_cartpole_int8.gin"


@pytest.fixture(scope="module")
def old():
    return gin_loading.load([_FILE]).experiment


@pytest.mark.parametrize(
    ("binding", "change"),
    [
        ("DqnBuilder.hidden_sizes = (8,)", "DqnBuilder.hidden_sizes: (256, 256) -> (8,)"),
        ("DqnBuilder.n_step = 2", "DqnBuilder.n_step: 10 -> 2"),
        ("Experiment.agent = @D4pgBuilder()", "Experiment.agent: @DqnBuilder() -> @D4pgBuilder()"),
        ("EnvironmentConfig.name = 'gym:Acrobot-v1'", "EnvironmentConfig.name: 'gym:CartPole-v1' -> 'gym:Acrobot-v1'"),
        ("EnvironmentConfig.action_repeat = 2", "EnvironmentConfig.action_repeat: 1 -> 2"),
        ("ConverterConfig.recipe = 'float32'", "ConverterConfig.recipe: 'static_wi8_ai8' -> 'float32'"),
        ("ScaleConfig.in_process = True", "ScaleConfig.in_process: False -> True"),
        ("LearnerConfig.scale_observations = True", "LearnerConfig.scale_observations: False -> True"),
        ("ConverterConfig.center_q_values = False", "ConverterConfig.center_q_values: True -> False"),
        ("ReplayConfig.priority_exponent = 0.3", "ReplayConfig.priority_exponent: None -> 0.3"),
        ("ReplayConfig.rows_per_item = 7", "ReplayConfig.rows_per_item: 8 -> 7"),
    ],
)
def test_what_a_run_was_made_by_may_not_change(old, binding, change):
    assert config_changes.refused(old, gin_loading.load([_FILE], [binding]).experiment) == [change]


@pytest.mark.parametrize(
    "binding",
    [
        "Experiment.num_env_steps = 7",
        "Experiment.stop_at_return = 500.0",
        "Experiment.seed = 9",
        "ScaleConfig.num_collectors = 4",
        "ScaleConfig.environments_per_collector = 2",
        "EvaluatorConfig.num_episodes = 3",
        "CollectorConfig.report_interval_sec = 1.0",
        "LearnerConfig.snapshot_interval_steps = 10",
        "ReplayConfig.checkpoint_period_sec = 5.0",
        "SupervisionConfig.max_deaths = 9",
    ],
)
def test_what_it_takes_and_how_it_is_watched_may(old, binding):
    assert config_changes.refused(old, gin_loading.load([_FILE], [binding]).experiment) == []


def test_all_changes_are_told(old):
    new = gin_loading.load([_FILE], ["DqnBuilder.n_step = 2", "ReplayConfig.max_size = 5000"]).experiment
    assert [change.split(":")[0] for change in config_changes.refused(old, new)] == [
        "DqnBuilder.n_step",
        "ReplayConfig.max_size",
    ]
