"""Policies that were not trained here, as TensorFlow functions: Keras models, SavedModels, directories of TF-Agents' PolicySaver."""

import dataclasses
import importlib
import math
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from tfquarl.converter import reference_path
from tfquarl.core import errors
from tfquarl.export import keras_config
from tfquarl.export import native_output
from tfquarl.quantization import recipe as recipe_lib

AGENTS_KIND = "TF-Agents policy"

_REMEDIES = {
    "VarHandleOp": "a variable that changes at run time; leave counters and normalizers that update out of the model",
    "AssignVariableOp": "a variable that changes at run time; leave counters and normalizers that update out of the model",
    "Erf": "use the activation gelu(approximate=True), or relu",
}
_DEFAULT_REMEDY = "replace it by layers that TFLite has: Dense, Conv2D, ReLU, tanh, sigmoid, softmax"
_OPERATOR = re.compile(r"(?:op '|operation '|\s)tf\.([A-Za-z0-9]+)|(?:Flex|Select TF|Custom) ops?: ([A-Za-z0-9]+)")


@dataclasses.dataclass(frozen=True)
class ForeignPolicy:
    """A policy as a function.

    Attributes:
      function: TensorFlow function from float32 [1, D] to float32 [1, O].
      sizes: D and O.
      kind: what it was read as, for people.
      owner: keeps the function's variables alive.
    """

    function: Any
    sizes: tuple[int, int]
    kind: str
    owner: Any

    def convert(self, recipe: recipe_lib.Recipe, calibration: np.ndarray) -> bytes:
        """The policy as a flatbuffer with float input and output.

        Args:
          recipe: in force.
          calibration: observations, float32 [N, D].

        Raises:
          ConversionError: TFLite lacks an operator; with its name and the remedy.
        """
        function = self.function.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], self.owner)
        reference_path.configure(converter, recipe, calibration)
        said: list[str] = []
        try:
            with native_output.captured() as said:
                return converter.convert()
        except Exception as error:  # the converter raises whatever its stages raise
            raise errors.ConversionError(f"recipe '{recipe.name}': {_explain(str(error), said)}") from error

    def outputs(self, observations: np.ndarray) -> np.ndarray:
        """What the function itself gives, float32 [N, O], for observations [N, D]."""
        return np.concatenate([self.function(tf.constant(row[np.newaxis]))["output"].numpy() for row in observations])


def load(path: pathlib.Path, signature: str = "serving_default") -> ForeignPolicy:
    """Reads a policy.

    Args:
      path: .keras or .h5 file, SavedModel directory, or directory that TF-Agents' PolicySaver wrote.
      signature: of a SavedModel.

    Raises:
      ConfigError: no such file, one of another kind, or a model that is no policy.
    """
    if not path.exists():
        raise errors.ConfigError(f"{path}: no such file or directory")
    if (path / "policy_specs.pbtxt").is_file():
        return _load_saved_model(path, "action", AGENTS_KIND)
    if (path / "saved_model.pb").is_file():
        return _load_saved_model(path, signature, "SavedModel")
    if path.suffix in (".keras", ".h5", ".hdf5"):
        return _load_keras(path)
    raise errors.ConfigError(
        f"{path} is no policy that can be read: needs a .keras or .h5 file, a SavedModel directory, one of TF-Agents' PolicySaver, or "
        "an .npz of weights"
    )


def _load_keras(path: pathlib.Path) -> ForeignPolicy:
    keras_config.check(path)
    try:
        with native_output.captured():
            model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:  # damaged files make h5py, zipfile and Keras raise errors of all kinds
        raise errors.ConfigError(
            f"{path} can't be loaded as a Keras model: {_first_line(error)}; is it whole, and without layers of your own?"
        ) from error
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise errors.ConfigError(
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs, a policy has one of each"
        )
    shape = [int(size) if size else 1 for size in model.inputs[0].shape[1:]]
    return _wrap(
        path,
        lambda x: model(tf.reshape(x, [1, *shape]) if len(shape) != 1 else x),
        math.prod(shape),
        "Keras model",
        model,
    )


def _load_saved_model(path: pathlib.Path, signature: str, kind: str) -> ForeignPolicy:
    try:
        with native_output.captured():
            if kind == AGENTS_KIND:
                importlib.import_module(
                    "tensorflow_probability.python.distributions"
                )  # registers types that such files name
            loaded = tf.saved_model.load(str(path))
    except Exception as error:  # as above
        raise errors.ConfigError(
            f"{path} can't be loaded as a SavedModel: {_first_line(error)}; is it whole?"
        ) from error
    if signature not in loaded.signatures:
        raise errors.ConfigError(
            f"{path} has the signatures {', '.join(loaded.signatures) or 'none'}, needs '{signature}'"
        )
    function = loaded.signatures[signature]
    specs = function.structured_input_signature[1]
    observed = _observation_input(path, specs, kind)
    names = list(function.structured_outputs)
    name = "action" if "action" in names else names[0]
    if name != "action" and len(names) != 1:
        raise errors.ConfigError(
            f"{path}: signature '{signature}' has the outputs {', '.join(names)}; needs one, or one named 'action'"
        )
    size = math.prod(int(side) for side in specs[observed].shape[1:])

    def call(x: Any) -> Any:
        shape = [1, *(int(side) for side in specs[observed].shape[1:])]
        others = {key: tf.ones([1], spec.dtype) for key, spec in specs.items() if key != observed}
        return function(**others, **{observed: tf.reshape(x, shape) if len(shape) != 2 else x})[name]

    return _wrap(path, call, size, kind, loaded)


def _observation_input(path: pathlib.Path, specs: Any, kind: str) -> str:
    """The input that takes the observation; TF-Agents' policies take discount, reward and step type beside it."""
    found = [key for key in specs if "observation" in key] if kind == AGENTS_KIND else list(specs)
    if len(found) != 1 or None in specs[found[0]].shape[1:] or specs[found[0]].dtype != tf.float32:
        raise errors.ConfigError(
            f"{path} takes {', '.join(f'{key} {spec.dtype.name}{spec.shape}' for key, spec in specs.items())}; needs one float32 "
            "observation [batch, size] (flatten dictionary observations before the network)"
        )
    return found[0]


def _wrap(path: pathlib.Path, call: Any, size: int, kind: str, owner: Any) -> ForeignPolicy:
    function = _as_function(call, size)
    result = function.get_concrete_function().structured_outputs["output"]
    if result.dtype.is_integer:
        function = _as_function(_before_argmax(path, function), size)
        result = function.get_concrete_function().structured_outputs["output"]
    shape = [int(side) if side else 1 for side in result.shape]
    if len(shape) != 2 or shape[0] != 1 or result.dtype != tf.float32:
        raise errors.ConfigError(f"{path} gives {result.dtype.name}{shape}, a policy gives float32[1, size]")
    policy = ForeignPolicy(function, (size, shape[1]), kind, owner)
    probe = np.linspace(-1, 1, size, dtype=np.float32)[np.newaxis]
    if not np.array_equal(policy.outputs(probe), policy.outputs(probe), equal_nan=True):
        raise errors.ConfigError(
            f"{path} gives other outputs each time; save the greedy policy (PolicySaver(agent.policy), not agent.collect_policy): "
            "exploration stays outside of the model"
        )
    return policy


def _as_function(call: Any, size: int) -> Any:
    @tf.function(input_signature=[tf.TensorSpec([1, size], tf.float32, name="observation")])
    def policy(observation: Any) -> dict[str, Any]:
        return {"output": call(observation)}

    return policy


def _before_argmax(path: pathlib.Path, function: Any) -> Any:
    """A function for the values whose largest a discrete policy picks."""
    frozen = convert_to_constants.convert_variables_to_constants_v2(function.get_concrete_function())
    picks = [operation for operation in frozen.graph.get_operations() if operation.type == "ArgMax"]
    if len(picks) != 1:
        raise errors.ConfigError(
            f"{path} gives integer actions by {len(picks)} ArgMax operations; needs a policy that picks the largest of its values, or "
            "a model that gives the values themselves"
        )
    values = picks[0].inputs[0]
    pruned = frozen.prune(frozen.inputs[0], values)
    return lambda x: tf.ensure_shape(pruned(x), [1, values.shape[-1]])


def _explain(message: str, said: list[str]) -> str:
    text = "\n".join([message, *said])
    found = [first or second for first, second in _OPERATOR.findall(text)]
    if found:
        name = found[0]
        remedy = next((text for op, text in _REMEDIES.items() if name.startswith(op)), _DEFAULT_REMEDY)
        return f"TFLite has no operator for '{name}'; {remedy}"
    return " ".join(message.split())[:300]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
