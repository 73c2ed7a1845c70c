"""A policy that was trained quantized, exported: the model computes what the training network computes, at every width."""

import collections
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.agents import agent_trainer
from tfquarl.agents.d4pg import builder as d4pg_builder
from tfquarl.agents.dqn import builder as dqn_builder
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import environment_spec
from tfquarl.core import records
from tfquarl.networks import low_bit_policy
from tfquarl.networks import q_centering
from tfquarl.networks import quantization_aware
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import interpreter

_FIELDS = (environment_spec.ObservationField("observation", (2,), 0),)
_BUILDERS: dict[str, tuple[Any, environment_spec.EnvironmentSpec]] = {
    "dqn": (
        dqn_builder.DqnBuilder(hidden_sizes=(16, 16), learning_rate=0.01),
        environment_spec.EnvironmentSpec("test", _FIELDS, 2),
    ),
    "d4pg": (
        d4pg_builder.D4pgBuilder(policy_hidden_sizes=(16, 16), critic_hidden_sizes=(16,), actor_learning_rate=2e-3),
        environment_spec.EnvironmentSpec("arm", _FIELDS, action_low=(-2.0,), action_high=(2.0,)),
    ),
}
_NUM_TRAIN_STEPS = 15
_PROCESS = reference_process.ReferenceProcess()
Batch = collections.namedtuple("Batch", "observation action reward discount next_observation")


def _batch(generator: np.random.Generator, is_discrete: bool) -> Batch:
    """One-step episodes: what the first half of the observation's square earns by one action, the other half earns by the other."""
    observation = generator.uniform(-1, 1, (32, 2)).astype(np.float32)
    side = generator.integers(2, size=32)
    action = side if is_discrete else (2.0 * side - 1.0)[:, np.newaxis]
    reward = (side == (observation[:, 0] > 0)).astype(np.float32)
    return Batch(
        tf.constant(observation),
        tf.constant(action, tf.float32),
        tf.constant(reward),
        tf.zeros(32),
        tf.constant(observation),
    )


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("name", _BUILDERS)
def test_the_model_is_within_one_output_step_of_the_trained_network(name: str, bits: int):
    builder, spec = _BUILDERS[name]
    recipe = recipe_lib.from_name(f"qat_wi{bits}_ai{bits}")
    assert recipe.widths is not None
    quantization = quantization_aware.QuantizationAware(recipe.widths, quantization_aware.QuantizationAwareConfig(5))
    trainer = agent_trainer.AgentTrainer(builder, spec, 0, quantization)
    generator = np.random.default_rng(bits)
    head = trainer.policy_variables["head/kernel"]
    head.assign(100 * head)  # its first weights are so small that a short training leaves all outputs within one step
    first = {key: value.numpy() for key, value in trainer.policy_variables.items()}
    for _ in range(_NUM_TRAIN_STEPS):
        trainer.train(_batch(generator, spec.is_discrete), None)
    variables = {key: value.numpy() for key, value in trainer.policy_variables.items()}
    assert np.abs(variables["dense_1/kernel"] - first["dense_1/kernel"]).max() > 0.01

    architecture = builder.architecture(spec)
    converter = policy_converter.PolicyConverter(architecture, recipe, True, _PROCESS)
    exported = q_centering.center(architecture, variables)
    ranges = dict(trainer.activation_ranges())
    model = converter.convert(records.PolicySnapshot(1, _NUM_TRAIN_STEPS, exported, ranges=ranges))
    observations = (1.5 * generator.standard_normal((500, 2))).astype(np.float32)  # some saturate
    got = interpreter.PolicyInterpreter(model, len(observations))(observations)

    expected = builder.policy_network(trainer.agent)(tf.constant(observations))[0].numpy()
    half_range = np.float32(1)
    if spec.is_discrete:  # the model's q_values are relative to their mean, which the training network puts back
        got, expected = np.diff(got), np.diff(expected)
    else:
        half_range = architecture.action_scaling()[1]
    step = low_bit_policy.layers(architecture, exported, ranges, recipe.widths)[-1].last_grid.scale * half_range
    assert np.abs(got - expected).max() <= 1.001 * step
    assert bits < 4 or len(np.unique(got)) > 3
