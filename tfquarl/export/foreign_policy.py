"""Policies that were not trained here, as TensorFlow functions: Keras models, SavedModels, directories of TF-Agents' PolicySaver."""

import dataclasses
import importlib
import math
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf

from tfquarl.converter import reference_path
from tfquarl.core import errors
from tfquarl.export import keras_config
from tfquarl.export import native_output
from tfquarl.export import traced_policy
from tfquarl.quantization import recipe as recipe_lib

AGENTS_KIND = "TF-Agents policy"

_AGENTS_OTHERS = ("discount", "reward", "step_type")  # what TF-Agents' policies take beside an observation
_NUM_PROBES = 32

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
      action: function for the index of the action, where the policy gives one; None where it gives `function`'s values itself.
    """

    function: Any
    sizes: tuple[int, int]
    kind: str
    owner: Any
    action: Any = None

    @property
    def architecture(self) -> None:
        """Nothing is known of it: layers of a foreign model may do anything."""
        return

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
        """What the function itself gives, float32 [N, O], for observations [N, D].

        Raises:
          ConfigError: the policy does something else for one of them than the action of the largest value.
        """
        values = _run(self.function, observations).reshape(len(observations), -1)
        if self.action is not None:
            self._check_actions(values, _run(self.action, observations).reshape(len(observations)))
        return values

    def release(self) -> None:
        """Its conversions run in this process and keep nothing."""

    def _check_actions(self, values: np.ndarray, actions: np.ndarray) -> None:
        """Of values that are equal but for rounding any may be picked."""
        size, largest = values.shape[1], values.max(axis=1)
        picked = values[np.arange(len(values)), np.clip(actions, 0, size - 1)]
        is_wrong = (actions < 0) | (actions >= size) | (picked < largest - 1e-6 * np.abs(largest))
        for row in np.flatnonzero(is_wrong)[:1]:
            raise errors.ConfigError(
                f"the {self.kind}'s action is not the index of the largest of its values: {actions[row]} where that is "
                f"{values[row].argmax()}; quantize a model that gives the values, and map their index to the action outside of it"
            )


def _run(function: Any, observations: np.ndarray) -> np.ndarray:
    return np.concatenate([function(tf.constant(row[np.newaxis]))["output"].numpy() for row in observations], axis=None)


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
            f"{path} can't be loaded as a Keras model: {traced_policy.reason(error)}; is it whole, and without layers of your own?"
        ) from error
    if not model.inputs:
        raise errors.ConfigError(
            f"{path} has no input shape yet; give the model a keras.Input, or call it, before it is saved"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise errors.ConfigError(
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs, a policy has one of each"
        )
    if model.inputs[0].shape[0] not in (None, 1):
        raise errors.ConfigError(f"{path} takes batches of {model.inputs[0].shape[0]}, needs a batch that may be 1")
    shape = [int(size) if size else 1 for size in model.inputs[0].shape[1:]]

    def call(x: Any) -> Any:
        return tf.nest.flatten(model(tf.reshape(x, [1, *shape]) if len(shape) != 1 else x))[0]

    return _wrap(path, call, math.prod(shape), "Keras model", model)


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
            f"{path} can't be loaded as a SavedModel: {traced_policy.reason(error)}; is it whole?"
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
    shape = [1, *(int(side) for side in specs[observed].shape[1:])]

    def call(x: Any) -> Any:
        others = {key: tf.ones([1], spec.dtype) for key, spec in specs.items() if key != observed}
        return function(**others, **{observed: tf.reshape(x, shape) if len(shape) != 2 else x})[name]

    return _wrap(path, call, math.prod(shape), kind, loaded)


def _observation_input(path: pathlib.Path, specs: Any, kind: str) -> str:
    """The input that takes the observation; TF-Agents' policies take discount, reward and step type beside it."""
    others = [key for key in specs if kind == AGENTS_KIND and key.endswith(_AGENTS_OTHERS) and "observation" not in key]
    found = [key for key in specs if key not in others]
    has = ", ".join(f"{key} {specs[key].dtype.name}{specs[key].shape}" for key in found)
    if kind == AGENTS_KIND and any("observation" not in key for key in found):
        raise errors.ConfigError(f"{path} takes {has}; needs a policy that keeps no state from step to step (no RNN)")
    if len(found) != 1 or not _is_observation(specs[found[0]]):
        raise errors.ConfigError(
            f"{path} takes {has}; needs one float32 observation [batch, size] whose batch may be 1 (flatten dictionary observations "
            "before the network)"
        )
    return found[0]


def _is_observation(spec: Any) -> bool:
    shape = spec.shape
    is_batch = shape.rank is not None and shape.rank >= 2 and shape[0] in (None, 1)
    return is_batch and None not in shape[1:] and spec.dtype == tf.float32


def _wrap(path: pathlib.Path, call: Any, size: int, kind: str, owner: Any) -> ForeignPolicy:
    function, action = traced_policy.trace(path, call, size), None
    if traced_policy.output_of(function).dtype.is_integer:
        function, action = traced_policy.before_argmax(path, function, size), function
    policy = ForeignPolicy(function, (size, traced_policy.output_of(function).shape[1]), kind, owner, action)
    probes = np.random.default_rng(0).standard_normal((_NUM_PROBES, size)).astype(np.float32)
    is_random = traced_policy.draws_random_numbers(path, action or function)
    if is_random or not np.array_equal(policy.outputs(probes), policy.outputs(probes), equal_nan=True):
        raise errors.ConfigError(
            f"{path} gives other outputs each time; save the greedy policy (PolicySaver(agent.policy), not agent.collect_policy): "
            "exploration stays outside of the model"
        )
    return policy


def _explain(message: str, said: list[str]) -> str:
    text = "\n".join([message, *said])
    found = [first or second for first, second in _OPERATOR.findall(text)]
    if found:
        name = found[0]
        remedy = next((text for op, text in _REMEDIES.items() if name.startswith(op)), _DEFAULT_REMEDY)
        return f"TFLite has no operator for '{name}'; {remedy}"
    return " ".join(message.split())[:300]
