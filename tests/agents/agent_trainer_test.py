"""Tests of agents.agent_trainer: policies that are trained quantized, for both algorithms."""

import collections
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.agents import agent_trainer
from tfquarl.agents.d4pg import builder as d4pg_builder
from tfquarl.agents.dqn import builder as dqn_builder
from tfquarl.core import environment_spec
from tfquarl.networks import quantization_aware
from tfquarl.quantization import bit_widths

_FIELDS = (environment_spec.ObservationField("observation", (2,), 0),)
_BUILDERS: dict[str, tuple[Any, environment_spec.EnvironmentSpec]] = {
    "dqn": (
        dqn_builder.DqnBuilder(hidden_sizes=(16,), target_update_period=1),
        environment_spec.EnvironmentSpec("test", _FIELDS, 2),
    ),
    "d4pg": (
        d4pg_builder.D4pgBuilder(policy_hidden_sizes=(16,), critic_hidden_sizes=(16,)),
        environment_spec.EnvironmentSpec("arm", _FIELDS, action_low=(-1.0,), action_high=(1.0,)),
    ),
}
Batch = collections.namedtuple("Batch", "observation action reward discount next_observation")


def _batch() -> Batch:
    generator = np.random.default_rng(0)
    shapes = {"observation": (8, 2), "action": (8, 1), "reward": (8,), "discount": (8,), "next_observation": (8, 2)}
    values = {name: generator.random(shape) for name, shape in shapes.items()}
    return Batch(*(tf.constant(np.rint(values[n]) if n == "action" else values[n], tf.float32) for n in Batch._fields))


def _trainer(name: str, delay: int) -> agent_trainer.AgentTrainer:
    builder, spec = _BUILDERS[name]
    config = quantization_aware.QuantizationAwareConfig(delay)
    quantization = quantization_aware.QuantizationAware(bit_widths.BitWidths(3, 3), config)
    return agent_trainer.AgentTrainer(builder, spec, 0, quantization)


@pytest.mark.parametrize("name", _BUILDERS)
def test_ranges_come_with_the_delay_s_end_and_weights_learn_on(name: str):
    trainer = _trainer(name, 2)
    train = tf.function(trainer.train)
    for _ in range(2):
        assert trainer.activation_ranges() == {}
        train(_batch(), None)
    ranges = trainer.activation_ranges()
    assert list(ranges) == ["scaled_observation", "dense_0", "head"]
    assert ranges["dense_0"][1] > 0
    before = {key: value.numpy() for key, value in trainer.policy_variables.items()}
    for _ in range(5):
        train(_batch(), None)
    for key in ("dense_0/kernel", "dense_0/bias", "head/kernel", "head/bias"):
        assert np.any(trainer.policy_variables[key].numpy() != before[key]), key


@pytest.mark.parametrize("name", _BUILDERS)
def test_the_target_network_computes_with_the_ranges_of_the_online_one(name: str):
    trainer = _trainer(name, 0)
    for _ in range(3):
        trainer.train(_batch(), None)
    target_name = "_target_q_network" if name == "dqn" else "_target_policy_network"
    assert getattr(trainer.agent, target_name).activation_ranges() == trainer.activation_ranges() != {}


@pytest.mark.parametrize("name", _BUILDERS)
def test_critics_and_policies_of_other_recipes_have_no_ranges(name: str):
    builder, spec = _BUILDERS[name]
    assert agent_trainer.AgentTrainer(builder, spec).activation_ranges() == {}
    names = [variable.name for variable in _trainer(name, 0).agent.variables if "/range/" in variable.name]
    assert len(names) == 2 * 2 * 3  # two ends, online and target, three activations
    assert not [found for found in names if "critic" in found]
