"""The shipped configurations: each loads, uses all its bindings, and its agent fits its environment."""

import pathlib

import pytest

from tfquarl.environments import registry
from tfquarl.program import gin_loading

_GIN = pathlib.Path("configs/gin")
_EXPERIMENTS = sorted(map(str, _GIN.glob("experiments/**/*.gin")))
_BASE = "configs/gin/experiments/dqn_cartpole_int8.gin"
_DQN = "configs/gin/agent/dqn.gin"
_D4PG = "configs/gin/agent/d4pg.gin"


def _layer(name):
    return sorted(map(str, _GIN.glob(f"{name}/**/*.gin")))


def test_there_are_experiments():
    assert _BASE in _EXPERIMENTS


@pytest.mark.parametrize("path", _EXPERIMENTS, ids=lambda path: pathlib.Path(path).stem)
def test_an_experiment_loads_whole_and_its_agent_fits_its_environment(path):
    loaded = gin_loading.load([path])
    experiment = loaded.experiment
    assert loaded.unused == ()
    assert experiment.name == pathlib.Path(path).stem
    spec = registry.spec(experiment.environment.name, experiment.environment.action_repeat)
    architecture = experiment.agent.architecture(spec)
    assert architecture.observation_size == spec.observation_size


@pytest.mark.parametrize("path", [*_layer("recipe"), *_layer("scale")], ids=lambda path: pathlib.Path(path).stem)
def test_a_recipe_or_scale_goes_with_an_experiment(path):
    assert gin_loading.load([_BASE, path]).unused == ()


@pytest.mark.parametrize("path", _layer("recipe"), ids=lambda path: pathlib.Path(path).stem)
def test_a_recipe_file_is_called_after_its_recipe(path):
    assert gin_loading.load([_BASE, path]).experiment.converter.recipe == pathlib.Path(path).stem


@pytest.mark.parametrize("path", _layer("environment"), ids=lambda path: pathlib.Path(path).stem)
def test_an_environment_goes_with_the_agent_of_its_kind_of_actions(path):
    task = gin_loading.load([_BASE, path]).experiment.environment
    spec = registry.spec(task.name, task.action_repeat)
    loaded = gin_loading.load([_BASE, *([] if spec.is_discrete else [_D4PG]), path])
    agent_bindings = [place for place in loaded.unused if "environment/" in place]
    assert agent_bindings == []
    assert loaded.experiment.agent.architecture(spec).observation_size == spec.observation_size


@pytest.mark.parametrize("path", _layer("agent"), ids=lambda path: pathlib.Path(path).stem)
def test_an_agent_uses_all_its_bindings(path):
    kind = _D4PG if "d4pg" in path else _DQN
    loaded = gin_loading.load([_BASE, kind, path])
    assert [place for place in loaded.unused if place.startswith(path)] == []


def test_an_override_reaches_the_object():
    bindings = ["ReplayConfig.samples_per_insert = 8.0", "ScaleConfig.num_collectors = 4", "DqnBuilder.n_step = 5"]
    experiment = gin_loading.load([_BASE], bindings).experiment
    assert experiment.replay.samples_per_insert == 8.0
    assert experiment.scale.num_collectors == 4
    assert experiment.agent.n_step == 5
    assert gin_loading.load([_BASE]).experiment.agent.n_step != 5


def test_every_configuration_stands_in_a_known_layer():
    layers = {"agent", "environment", "experiments", "recipe", "scale", "study"}
    assert {path.relative_to(_GIN).parts[0] for path in _GIN.glob("**/*.gin")} - layers == {"base.gin"}
