"""Tests of tfquarl/program/stations.py; what stations do together is tested in tests/integration."""

import itertools
import os

import numpy as np
import pytest

from tfquarl.collector import exploration
from tfquarl.environments import registry
from tfquarl.program import gin_loading
from tfquarl.program import node_process
from tfquarl.program import stations
from tfquarl.program import transport as transport_lib
from tfquarl.testing import memory_metrics

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"


@pytest.mark.parametrize("env_steps", [0, 1000], ids=["from the beginning", "going on"])
def test_no_part_of_a_collector_draws_the_numbers_of_another_one_or_of_the_next_run(
    monkeypatch: pytest.MonkeyPatch, env_steps: int
):
    os.environ.setdefault("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
    experiments = [
        gin_loading.load(
            [_EXPERIMENT],
            [f"Experiment.seed = {seed}", "ScaleConfig.environments_per_collector = 3", "DqnBuilder.n_step = 1"],
        ).experiment
        for seed in (1, 2)
    ]
    spec = registry.spec(experiments[0].environment.name)
    seeds: dict[str, list[int]] = {"environment": [], "exploration": [], "initial": []}
    make_environment, make_exploration, uniform = registry.make, exploration.make, exploration.UniformRandom

    def note_environment(name, seed, *rest):
        seeds["environment"].append(seed)
        return make_environment(name, seed, *rest)

    def note_exploration(config, *rest):
        seeds["exploration"].append(config.seed)
        return make_exploration(config, *rest)

    def note_initial(given_spec, seed):
        seeds["initial"].append(seed)
        return uniform(given_spec, seed)

    monkeypatch.setattr(registry, "make", note_environment)
    monkeypatch.setattr(exploration, "make", note_exploration)
    monkeypatch.setattr(exploration, "UniformRandom", note_initial)
    for experiment, index in itertools.product(experiments, range(2)):
        stations.make_collector(
            experiment,
            spec,
            transport_lib.LocalTransport(experiment, spec),
            memory_metrics.MemoryMetrics(),
            index,
            node_process.StartPoint(env_steps, 0),
        )
    assert [len(kind) for kind in seeds.values()] == [12, 4, 4]
    if not env_steps:
        assert seeds["environment"][::3] == [
            1001,
            2001,
            1002,
            2002,
        ]  # the first of each collector has the collector's own
    drawn = [np.random.default_rng(seed).random() for kind in seeds.values() for seed in kind]
    assert len(set(drawn)) == len(drawn)
