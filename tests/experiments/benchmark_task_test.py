"""Tests of tfquarl/experiments/benchmark_task.py."""

import numpy as np
import pytest

from tfquarl.converter import policy_converter
from tfquarl.core import records
from tfquarl.environments import registry
from tfquarl.experiments import benchmark_task
from tfquarl.networks import numpy_policy
from tfquarl.program import gin_loading
from tfquarl.quantization import recipe
from tfquarl.testing import tiny_policies


@pytest.mark.parametrize(
    ("hidden_sizes", "label"), [((256, 256, 256), "gym:CartPole-v1 3x256"), ((64, 32), "gym:CartPole-v1 64,32")]
)
def test_label(hidden_sizes: tuple[int, ...], label: str):
    assert benchmark_task.BenchmarkTask("gym:CartPole-v1", hidden_sizes).label == label


@pytest.mark.parametrize(
    ("name", "head"), [("gym:CartPole-v1", "q_values"), ("gym:Pendulum-v1", "action")], ids=["discrete", "continuous"]
)
def test_policy_and_exploration_fit_the_actions_and_stay_as_they_are(name: str, head: str):
    task = benchmark_task.BenchmarkTask(name, (16, 8))
    assert task.architecture().head == head and task.architecture().hidden_sizes == (16, 8)
    exploration = task.agent().make_exploration(0, 1, seed=0)
    assert exploration.strength(0) == pytest.approx(exploration.strength(10**9))
    assert exploration.strength(0) > 0


def test_its_run_acts_by_the_policy_at_once_and_waits_for_no_learner():
    experiment = benchmark_task.BenchmarkTask("gym:CartPole-v1").experiment(num_environments=8)
    assert experiment.collector.initial_collect_steps == 0
    assert experiment.replay.samples_per_insert is None
    assert experiment.scale.environments_per_collector == 8


def test_transitions_travel_as_in_a_run():
    replay = gin_loading.load(["configs/gin/experiments/dqn_cartpole_int8.gin"]).experiment.replay
    assert (benchmark_task.REPLAY.rows_per_item, benchmark_task.REPLAY.max_in_flight) == (
        replay.rows_per_item,
        replay.max_in_flight,
    )


def test_random_policies_differ_by_seed_and_neither_vanish_nor_explode():
    task = benchmark_task.BenchmarkTask("gym:CartPole-v1", (64, 64, 64))
    architecture = task.architecture()
    observations = benchmark_task.collect_observations(task.name, count=50)
    outputs = [
        numpy_policy.forward(architecture, benchmark_task.make_snapshot(architecture, seed).variables, observations)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(outputs[0]["output"], outputs[1]["output"])
    assert not np.array_equal(outputs[0]["output"], outputs[2]["output"])
    assert 0.01 < np.abs(outputs[0]["output"]).max() < 100


def test_observations_are_those_of_whole_episodes():
    observations = benchmark_task.collect_observations("gym:CartPole-v1", count=200)
    assert observations.shape == (200, 4) and observations.dtype == np.float32
    is_first = np.all(np.abs(observations) <= 0.05, axis=1)  # where CartPole begins
    assert 3 < is_first.sum() < 100


def test_random_actions_are_possible_ones():
    generator = np.random.default_rng(0)
    discrete = benchmark_task.random_actions(registry.spec("gym:CartPole-v1"), 100, generator)
    assert set(discrete) == {0, 1}
    spec = registry.spec("gym:Pendulum-v1")
    continuous = np.array(benchmark_task.random_actions(spec, 100, generator))
    low, high = spec.action_bounds
    assert continuous.shape == (100, 1) and (continuous >= low).all() and (continuous <= high).all()


def test_policy_actions_are_a_collector_s():
    tiny = tiny_policies.cartpole_policy()
    converter = policy_converter.PolicyConverter(tiny.architecture, recipe.from_name("float32"))
    model = converter.convert(records.PolicySnapshot(1, 0, dict(tiny.variables)))
    converter.release()
    artifact = records.PolicyArtifact(1, 0, "float32", model, {})
    actions = benchmark_task.policy_actions(benchmark_task.BenchmarkTask("gym:CartPole-v1"), artifact, 1000)
    environment = registry.make("gym:CartPole-v1", seed=0)
    observation, num_greedy, num_episodes = environment.reset(), 0, 0
    for action in actions:
        num_greedy += action == int(observation @ np.array([0.1, 0.3, 2, 1]) > 0)
        observation, _, terminated, truncated = environment.step(action)
        if terminated or truncated:
            observation, num_episodes = environment.reset(), num_episodes + 1
    # A tenth of them is random, and half of that is the greedy action.
    assert 920 < num_greedy < 980
    assert num_episodes <= 10  # by random actions some 45
