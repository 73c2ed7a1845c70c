"""Tests of `tfquarl.program.preflight`."""

import dataclasses

import pytest

from tfquarl.core import errors
from tfquarl.metrics import machine
from tfquarl.program import gin_loading
from tfquarl.program import preflight

_FILE = "configs/gin/experiments/dqn_cartpole_int8.gin"


def _refusal(*bindings):
    with pytest.raises(errors.ConfigError) as caught:
        preflight.check(gin_loading.load([_FILE], bindings))
    return str(caught.value)


def test_what_is_there_gives_the_environments_boundary():
    assert preflight.check(gin_loading.load([_FILE])).num_actions == 2


@pytest.mark.parametrize(
    ("gigabytes", "bindings"),
    [
        pytest.param(1.0, ["ScaleConfig.num_collectors = 25"], id="just_enough"),
        pytest.param(1.0, ["ScaleConfig.num_collectors = 26", "ScaleConfig.in_process = True"], id="in_one_process"),
        pytest.param(0.0, ["ScaleConfig.num_collectors = 26"], id="unknown"),
    ],
)
def test_collectors_that_may_fit_are_let_go(monkeypatch, gigabytes, bindings):
    monkeypatch.setattr(machine, "memory_bytes", lambda: int(gigabytes * 1e9))
    preflight.check(gin_loading.load([_FILE], bindings))


def test_collectors_that_do_not_fit_are_told_with_what_they_take(monkeypatch):
    monkeypatch.setattr(machine, "memory_bytes", lambda: 24_000_000_000)
    assert _refusal("ScaleConfig.num_collectors = 100_000") == (
        "--gin_bindings:1: ScaleConfig.num_collectors: 100,000 collectors take 4,000.0 GB of memory or more, 40 MB each, and this machine"
        " has 24.0 GB; give fewer, or more ScaleConfig.environments_per_collector"
    )


_CATEGORICAL = "configs/gin/agent/dqn_categorical.gin"


@pytest.mark.parametrize("recipe", ["ptq_wi4_ai8", "qat_wi4_ai8"])
def test_a_recipe_that_does_not_suit_value_distributions_is_told_by_both_bindings(recipe):
    files = [_FILE, f"configs/gin/recipe/{recipe}.gin", _CATEGORICAL]
    with pytest.raises(errors.ConfigError) as caught:
        preflight.check(gin_loading.load(files))
    assert str(caught.value) == (
        f"configs/gin/recipe/{recipe}.gin:2: ConverterConfig.recipe: recipe '{recipe}' can't have a policy of value distributions, which"
        f" ends with a softmax in float32; use one of 8 or 16 bits, as static_wi8_ai8, or {_CATEGORICAL}:4: DqnBuilder.num_atoms = 1,"
        " where it is 51"
    )


def test_value_distributions_may_have_eight_bits():
    assert preflight.check(gin_loading.load([_FILE, _CATEGORICAL])).num_actions == 2


def test_a_key_that_can_not_be_read_is_told_by_its_binding(tmp_path):
    message = _refusal(f"Experiment.key_file = '{tmp_path}/k'")
    assert message.startswith(f"--gin_bindings:1: Experiment.key_file: key file {tmp_path}/k: No such file")


def test_what_may_not_be_meant_is_told():
    loaded = gin_loading.load([_FILE], ["D4pgBuilder.n_step = 7"])
    spec = preflight.check(loaded)
    unused = "--gin_bindings:1: D4pgBuilder.n_step is bound, but nothing uses it"
    assert preflight.doubts(loaded, spec) == [unused]
    first, second = preflight.doubts(loaded, dataclasses.replace(spec, max_episode_steps=None))
    assert first == unused
    assert "EnvironmentConfig.name: gym:CartPole-v1 has no time limit: " in second
    assert "gymnasium.register" in second and "CollectorConfig.max_episode_steps" in second
