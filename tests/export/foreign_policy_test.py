"""Keras models, SavedModels and PolicySaver directories as float sources; what can't be one is named with the remedy."""

from collections.abc import Callable
from collections.abc import Sequence
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.networks import q_network
from tf_agents.networks import q_rnn_network
from tf_agents.policies import greedy_policy
from tf_agents.policies import policy_saver
from tf_agents.policies import q_policy
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


def _save_function(path: pathlib.Path, function, shape: Sequence[int | None] | None = (None, 4)) -> pathlib.Path:
    module = tf.Module()
    module.f = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)])
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
    assert set(made.models) == set(recipe_lib.NAMES) and made.remedy.startswith("use more calibration observations")


@pytest.mark.parametrize(
    ("recipe", "remedy"),
    [
        ("static_wi8_ai8", "a Keras model's int8 observation has one step for all features"),
        ("static_wi8_ai16", "use more calibration observations"),
    ],
)
def test_a_keras_model_of_observations_in_many_units_tells_what_int8_loses(
    tmp_path: pathlib.Path, recipe: str, remedy: str
):
    model = _keras_model(tf.keras.layers.Rescaling([1.0, 1, 1, 1e-3]), tf.keras.layers.Dense(2, "tanh"))
    model.save(tmp_path / "p.keras")
    source = foreign_policy.load(tmp_path / "p.keras")
    spec = float_source.make_spec(source, "action", "p", (-1.0,), (1.0,))
    observations = acting.split(_OBSERVATIONS * np.float32([1, 1, 1, 1000]), "x")
    made = float_source.make_candidate(source, spec, "action", recipe_lib.from_name(recipe), observations, {})
    assert made.remedy.startswith(remedy)


def test_a_discrete_tf_agents_policy_gives_the_values_that_it_picks_from(tmp_path: pathlib.Path):
    agent = _agent()
    policy_saver.PolicySaver(agent.policy).save(str(tmp_path / "policy"))
    source = foreign_policy.load(tmp_path / "policy")
    assert source.sizes == (4, 3)
    network = agent._q_network
    expected, _ = network(tf.constant(_OBSERVATIONS))
    np.testing.assert_allclose(source.outputs(_OBSERVATIONS), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + tf.random.normal([1, 4]),
        lambda x: tf.cond(x[0, 0] > 1e9, lambda: tf.random.normal([1, 4]), lambda: x),
        lambda x: tf.where(tf.random.uniform([1]) < 1e-9, tf.zeros([1], tf.int64), tf.argmax(x, 1)),
    ],
    ids=["always noisy", "hardly ever noisy", "epsilon-greedy"],
)
def test_an_exploring_policy_is_refused(tmp_path: pathlib.Path, function):
    path = _save_function(tmp_path / "noisy", function)
    with pytest.raises(errors.ConfigError, match="gives other outputs each time; save the greedy policy"):
        foreign_policy.load(path)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 3 - tf.argmax(x, 1),
        lambda x: tf.argmax(x, 1) - 1,
        lambda x: tf.argmax(x, 1) + 1,
        lambda x: tf.gather(tf.constant([0, 1, 3, 2]), tf.argmax(x, 1)),
    ],
    ids=["flipped", "from -1", "from 1", "remapped"],
)
def test_an_action_that_is_not_the_largest_value_is_refused(tmp_path: pathlib.Path, function):
    path = _save_function(tmp_path / "other", function)
    with pytest.raises(errors.ConfigError, match="SavedModel's action is not the index of the largest of its values"):
        foreign_policy.load(path)


def test_an_action_that_only_observations_tell_from_the_largest_value_is_refused_with_them(tmp_path: pathlib.Path):
    path = _save_function(tmp_path / "late", lambda x: tf.where(x[:, 0] < 100, tf.argmax(x, 1), 1))
    source = foreign_policy.load(path)
    np.testing.assert_array_equal(source.outputs(_OBSERVATIONS), _OBSERVATIONS)
    with pytest.raises(errors.ConfigError, match="not the index of the largest of its values: 1 where that is 0"):
        source.outputs(np.asarray([[200, 0, 0, 0]], np.float32))


def test_of_equal_values_any_may_be_picked(tmp_path: pathlib.Path):
    path = _save_function(tmp_path / "same", lambda x: 3 - tf.argmax(0 * x, 1))
    np.testing.assert_array_equal(foreign_policy.load(path).outputs(_OBSERVATIONS), 0)


def test_an_operator_that_tflite_lacks_is_named_with_the_remedy(tmp_path: pathlib.Path):
    source = foreign_policy.load(_save_function(tmp_path / "odd", lambda x: tf.math.betainc(x, x, x)))
    with pytest.raises(errors.ConversionError, match="TFLite has no operator for 'Betainc'; replace it by layers"):
        source.convert(recipe_lib.float32(), _OBSERVATIONS)


def test_a_keras_model_whose_one_output_has_a_name(tmp_path: pathlib.Path):
    x = tf.keras.layers.Input([4])
    tf.keras.Model(x, {"q": tf.keras.layers.Dense(2)(x)}).save(tmp_path / "p.keras")
    assert foreign_policy.load(tmp_path / "p.keras").sizes == (4, 2)


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


def _saved(function, shape: Sequence[int | None] | None = (None, 4)) -> Callable[[pathlib.Path], pathlib.Path]:
    """Writes a SavedModel with this function."""
    return lambda path: _save_function(path / "saved", function, shape)


def _unbuilt(path: pathlib.Path) -> pathlib.Path:
    tf.keras.Sequential([tf.keras.layers.Dense(2)]).save(path / "p.keras")
    return path / "p.keras"


def _batches_of_8(path: pathlib.Path) -> pathlib.Path:
    x = tf.keras.layers.Input([4], batch_size=8)
    tf.keras.Model(x, tf.keras.layers.Dense(2)(x)).save(path / "p.keras")
    return path / "p.keras"


def _recurrent_agent(path: pathlib.Path) -> pathlib.Path:
    spec = time_step.time_step_spec(tf.TensorSpec([4], tf.float32, "observation"))
    action = tensor_spec.BoundedTensorSpec([], tf.int64, 0, 2)
    network = q_rnn_network.QRnnNetwork(spec.observation, action, lstm_size=(8,))
    greedy = greedy_policy.GreedyPolicy(q_policy.QPolicy(spec, action, network))
    policy_saver.PolicySaver(greedy).save(str(path / "agent"))
    return path / "agent"


def _counter(path: pathlib.Path) -> pathlib.Path:
    module = tf.Module()
    module.count = tf.Variable(0.0)
    module.f = tf.function(lambda x: x + 0 * module.count.assign_add(1), input_signature=[tf.TensorSpec([None, 4])])
    tf.saved_model.save(module, str(path / "counter"), signatures=module.f)
    return path / "counter"


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
        (_unbuilt, "has no input shape yet; give the model a keras.Input"),
        (_batches_of_8, "takes batches of 8, needs a batch that may be 1"),
        (_recurrent_agent, r"arg_1_0 float32\(None, 8\).*; needs a policy that keeps no state from step to step"),
        (_counter, "has variables that can't be made constants; leave counters"),
        (_saved(lambda x: tf.cast(x, tf.int32)), r"gives int32\(1, 4\) for an observation"),
        (_saved(lambda x: tf.cast(x[:, 0], tf.int32)), "integer actions by 0 ArgMax"),
        (_saved(lambda x: tf.argmax(x, 0)), r"gives int64\(4,\) for an observation"),
        (_saved(lambda x: tf.argmax(tf.transpose(x), 0)), r"picks its action from float32\(4, 1\)"),
        (_saved(lambda x: tf.argmax(tf.reshape(x, [-1, 2, 2]), -1)), r"gives int64\(1, 2\)"),
        (_saved(lambda x: tf.reshape(x, [1, 4]), None), r"float32<unknown>; needs one float32 observation"),
        (_saved(lambda x: x, [8, 4]), r"float32\(8, 4\); needs one float32 observation \[batch, size\]"),
        (_saved(lambda x: x, [4]), r"float32\(4,\); needs one float32 observation \[batch, size\]"),
        (_saved(lambda x: tf.io.parse_tensor(tf.io.serialize_tensor(x), tf.float32)), "gives float32<unknown>"),
        (_saved(lambda x: tf.ensure_shape(x, [2, 4])), r"can't be run on one observation, float32\[1, 4\]: "),
    ],
    ids=[
        "damaged Keras",
        "damaged SavedModel",
        "another format",
        "two outputs",
        "missing",
        "unbuilt",
        "Keras model of fixed batch",
        "recurrent TF-Agents policy",
        "counter",
        "many integers",
        "integer without argmax",
        "argmax over the batch",
        "argmax of columns",
        "two actions",
        "input of unknown rank",
        "fixed batch",
        "no batch",
        "output of unknown rank",
        "an error when it is traced",
    ],
)
def test_what_is_no_policy(tmp_path: pathlib.Path, write, complaint: str):
    with pytest.raises(errors.ConfigError, match=complaint):
        foreign_policy.load(write(tmp_path))
