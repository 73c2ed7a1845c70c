"""Keras models, SavedModels and PolicySaver directories as float sources; what can't be one is named with the remedy."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.networks import q_network
from tf_agents.policies import policy_saver
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step

from tfquarl.core import errors
from tfquarl.export import acting
from tfquarl.export import float_source
from tfquarl.export import foreign_policy
from tfquarl.quantization import recipe as recipe_lib

_OBSERVATIONS = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)


def _keras_model(*layers: tf.keras.layers.Layer) -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.layers.Input([4]), *layers])


def _save_function(path: pathlib.Path, function) -> pathlib.Path:
    module = tf.Module()
    module.f = tf.function(function, input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    tf.saved_model.save(module, str(path), signatures=module.f)
    return path


def _agent() -> dqn_agent.DqnAgent:
    spec = time_step.time_step_spec(tf.TensorSpec([4], tf.float32, "observation"))
    action = tensor_spec.BoundedTensorSpec([], tf.int64, 0, 2)
    network = q_network.QNetwork(spec.observation, action, fc_layer_params=(8,))
    agent = dqn_agent.DqnAgent(spec, action, network, tf.keras.optimizers.Adam(1e-3))
    agent.initialize()
    return agent


@pytest.mark.parametrize("name", ["p.keras", "p.h5", "saved"])
def test_a_keras_model_under_every_recipe(tmp_path: pathlib.Path, name: str):
    model = _keras_model(tf.keras.layers.Dense(8, "relu"), tf.keras.layers.Dense(2, "tanh", use_bias=False))
    if name == "saved":
        tf.saved_model.save(model, str(tmp_path / name))
    else:
        model.save(tmp_path / name)
    source = foreign_policy.load(tmp_path / name)
    assert source.sizes == (4, 2)
    np.testing.assert_allclose(source.outputs(_OBSERVATIONS), model(_OBSERVATIONS).numpy(), atol=1e-5)
    spec = float_source.make_spec(source, "action", "p", (-1.0,), (1.0,))
    made = float_source.make_candidate(
        source, spec, "action", recipe_lib.static_wi8_ai8("int8"), acting.split(_OBSERVATIONS, "x"), {}
    )
    assert set(made.models) == set(recipe_lib.NAMES)


def test_a_discrete_tf_agents_policy_gives_the_values_that_it_picks_from(tmp_path: pathlib.Path):
    agent = _agent()
    policy_saver.PolicySaver(agent.policy).save(str(tmp_path / "policy"))
    source = foreign_policy.load(tmp_path / "policy")
    assert source.sizes == (4, 3)
    network = agent._q_network
    expected, _ = network(tf.constant(_OBSERVATIONS))
    np.testing.assert_allclose(source.outputs(_OBSERVATIONS), expected.numpy(), atol=1e-5)


def test_an_exploring_policy_is_refused(tmp_path: pathlib.Path):
    path = _save_function(tmp_path / "noisy", lambda x: x + tf.random.normal([1, 4]))
    with pytest.raises(errors.ConfigError, match="gives other outputs each time; save the greedy policy"):
        foreign_policy.load(path)


def test_an_operator_that_tflite_lacks_is_named_with_the_remedy(tmp_path: pathlib.Path):
    source = foreign_policy.load(_save_function(tmp_path / "odd", lambda x: tf.math.betainc(x, x, x)))
    with pytest.raises(errors.ConversionError, match="TFLite has no operator for 'Betainc'; replace it by layers"):
        source.convert(recipe_lib.float32(), _OBSERVATIONS)


@pytest.mark.parametrize("name", ["policy.h5", "policy.keras"])
def test_python_code_in_a_model_is_not_run(tmp_path: pathlib.Path, name: str):
    path = tmp_path / name
    model = _keras_model(tf.keras.layers.Dense(3), tf.keras.layers.Lambda(lambda x: x + 1.0))
    model.save(path)
    with pytest.raises(errors.ConfigError, match="the class 'Lambda', which may be code"):
        foreign_policy.load(path)


def _junk(path: pathlib.Path) -> pathlib.Path:
    (path / "p.keras").write_bytes(b"junk")
    return path / "p.keras"


def _junk_saved_model(path: pathlib.Path) -> pathlib.Path:
    (path / "saved_model.pb").write_bytes(b"junk")
    return path


def _tflite(path: pathlib.Path) -> pathlib.Path:
    (path / "p.tflite").write_bytes(b"junk")
    return path / "p.tflite"


def _two_outputs(path: pathlib.Path) -> pathlib.Path:
    x = tf.keras.layers.Input([4])
    tf.keras.Model(x, [x, x]).save(path / "p.keras")
    return path / "p.keras"


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (_junk, "can't be loaded as a Keras model"),
        (_junk_saved_model, "can't be loaded as a SavedModel"),
        (_tflite, "is no policy that can be read"),
        (_two_outputs, "1 inputs and 2 outputs"),
        (lambda path: path / "none", "no such file"),
        (lambda path: _save_function(path / "i", lambda x: tf.cast(x, tf.int32)), "integer actions by 0 ArgMax"),
    ],
    ids=["damaged Keras", "damaged SavedModel", "another format", "two outputs", "missing", "integers without argmax"],
)
def test_what_is_no_policy(tmp_path: pathlib.Path, write, complaint: str):
    with pytest.raises(errors.ConfigError, match=complaint):
        foreign_policy.load(write(tmp_path))
