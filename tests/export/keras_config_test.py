"""Keras files that would run code when they are loaded are refused by name, and none of their code runs; policies pass."""

from collections.abc import Callable
import json
import pathlib
from typing import Any
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tfquarl.core import errors
from tfquarl.export import foreign_policy
from tfquarl.export import keras_config

_FORMATS = ["policy.h5", "policy.keras"]
_Edit = Callable[[dict[str, Any]], object]


def _save(path: pathlib.Path, *layers: tf.keras.layers.Layer) -> pathlib.Path:
    x = y = tf.keras.layers.Input([4])
    for layer in layers or (tf.keras.layers.Dense(3, "tanh", name="dense"),):
        y = layer(y)
    tf.keras.Model(x, y).save(path)
    return path


def _edit(path: pathlib.Path, edit: _Edit) -> pathlib.Path:
    """The same file with another config."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    edit(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def _calls(function: str, constant: str, **arguments: str) -> _Edit:
    """A layer more, which calls `function` of TensorFlow on a constant while the model is made."""
    layer = {
        "module": "keras.src.layers.core.tf_op_layer",
        "class_name": "TFOpLambda",
        "config": {"name": "odd", "trainable": True, "dtype": "float32", "function": function},
        "registered_name": "TFOpLambda",
        "name": "odd",
        "inbound_nodes": [["_CONSTANT_VALUE", -1, constant, arguments]],
    }
    return lambda config: config["config"]["layers"].append(layer)


def _dense(**settings: Any) -> _Edit:
    """Other settings of the Dense layer."""
    return lambda config: config["config"]["layers"][1]["config"].update(settings)


def _layer(**entries: Any) -> _Edit:
    """Another description of the Dense layer."""
    return lambda config: config["config"]["layers"][1].update(entries)


@pytest.mark.parametrize("name", _FORMATS)
def test_a_function_that_writes_a_file_does_not_run(tmp_path: pathlib.Path, name: str):
    marker = tmp_path / "marker"
    path = _edit(_save(tmp_path / name), _calls("io.write_file", str(marker), contents="ran"))
    with pytest.raises(errors.ConfigError, match=r"class 'TFOpLambda' that calls 'io.write_file', which may be code"):
        foreign_policy.load(path)
    assert not marker.exists()


def test_a_lambda_layer_in_hdf5_that_is_called_keras_does_not_run(tmp_path: pathlib.Path):
    marker, path = tmp_path / "marker", tmp_path / "p.h5"
    name = str(marker)
    _save(path, tf.keras.layers.Lambda(lambda x: (open(name, "w").close(), x)[1]))
    marker.unlink()  # making the model called it too
    with pytest.raises(errors.ConfigError, match="the class 'Lambda'"):
        foreign_policy.load(path.rename(tmp_path / "p.keras"))
    assert not marker.exists()


@pytest.mark.parametrize("name", _FORMATS)
@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        pytest.param(_calls("load_library", "evil.so"), "that calls 'load_library'", id="library"),
        pytest.param(_layer(class_name="get_file", module="keras.utils"), "the class 'get_file'", id="download"),
        pytest.param(_layer(class_name="StringLookup"), "the class 'StringLookup'", id="layer that reads files"),
        pytest.param(_layer(class_name=["Dense"]), r"the class \['Dense'\]", id="class is a list"),
        pytest.param(_layer(module="os"), "the class 'Dense' of the module 'os'", id="module"),
        pytest.param(_layer(module="keras_evil"), "of the module 'keras_evil'", id="module that begins as keras does"),
        pytest.param(_layer(registered_name="My>Dense"), "the class 'Dense' registered as 'My>Dense'", id="registered"),
        pytest.param(_dense(activation="deserialize"), "the activation 'deserialize'", id="activation"),
        pytest.param(_dense(kernel_initializer="get_file"), "the initializer 'get_file'", id="initializer"),
        pytest.param(_dense(bias_regularizer="evil"), "the regularizer 'evil'", id="regularizer"),
        pytest.param(_dense(bias_constraint="evil"), "the constraint 'evil'", id="constraint"),
        pytest.param(
            _dense(
                activation={"class_name": "function", "config": "system", "module": "os", "registered_name": "system"}
            ),
            "the class 'function'",
            id="function as activation",
        ),
        pytest.param(
            _dense(units={"class_name": "__lambda__", "config": {"value": "4w"}}), "'__lambda__'", id="bytecode"
        ),
        pytest.param(
            lambda config: config["config"].update(layers=["Lambda"]), "by its name alone", id="layer is a name"
        ),
        pytest.param(lambda config: config.update(class_name="Dense"), "holds no model's config", id="no model"),
    ],
)
def test_what_a_policy_does_not_need_is_refused_by_name(tmp_path: pathlib.Path, name: str, edit: _Edit, complaint: str):
    path = _edit(_save(tmp_path / name), edit)
    with pytest.raises(errors.ConfigError, match=complaint) as caught:
        keras_config.check(path)
    assert str(caught.value).startswith(f"{path} ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", _FORMATS)
@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(
            lambda keras: [
                keras.layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4),
                keras.layers.Dense(8, "relu", kernel_initializer=keras.initializers.Orthogonal(2.0)),
                keras.layers.LayerNormalization(),
                keras.layers.Dense(2, tf.nn.silu, kernel_regularizer="l2", kernel_constraint="max_norm"),
            ],
            id="settings",
        ),
        pytest.param(
            lambda keras: [
                keras.Sequential([keras.layers.Dense(8, keras.layers.LeakyReLU()), keras.layers.Dropout(0.1)]),
                keras.layers.Reshape([8, 1]),
                keras.layers.Conv1D(2, 3),
                keras.layers.Flatten(),
            ],
            id="a model inside",
        ),
        pytest.param(
            lambda keras: [
                keras.layers.Dense(4),
                lambda x: tf.clip_by_value(tf.tanh(x[:, :2]) * 2.0 + 1.0, -1.5, 1.5),
                keras.layers.Rescaling(np.float32(0.5), offset=1.0),
            ],
            id="arithmetic",
        ),
    ],
)
def test_what_policies_are_made_of_passes_and_computes_the_same(tmp_path: pathlib.Path, name: str, layers):
    path = _save(tmp_path / name, *layers(tf.keras))
    x = np.linspace(-1, 1, 4, dtype=np.float32)[np.newaxis]
    expected = tf.keras.models.load_model(path)(x).numpy()
    np.testing.assert_allclose(foreign_policy.load(path).outputs(x), expected, atol=1e-6)


def test_a_compiled_model_passes(tmp_path: pathlib.Path):
    model = tf.keras.Sequential([tf.keras.layers.Input([4]), tf.keras.layers.Dense(2)])
    model.compile(tf.keras.optimizers.Adam(1e-3), "mse")
    model.save(tmp_path / "p.keras")
    keras_config.check(tmp_path / "p.keras")


def test_a_file_that_unpacks_to_more_than_any_policy_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    path = _save(tmp_path / "p.keras")
    monkeypatch.setattr(keras_config, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(errors.ConfigError, match=r"unpacks to \d+ bytes, which is no policy"):
        keras_config.check(path)
