"""The reference path: TFLiteConverter on the policy's core network. The only module of the converter that needs TensorFlow."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfquarl.converter import scaling_ops
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib


def convert(
    architecture: architecture_lib.PolicyArchitecture,
    recipe: recipe_lib.Recipe,
    variables: Mapping[str, np.ndarray],
    observations: np.ndarray | None,
    scale_observations: bool,
) -> bytes:
    """The policy as a flatbuffer.

    Args:
      architecture: of the policy.
      recipe: in force.
      variables: of the policy, float32 by name.
      observations: for calibration, float32 [N, D], as the environment gives them; None where the recipe needs none.
      scale_observations: whether the policy scales its observations.
    """
    core = scaling_ops.core_variables(recipe, variables, scale_observations)
    if observations is not None and scale_observations and recipe.io == "float32":
        observations = (observations - variables[scaling_ops.OFFSET]) * variables[scaling_ops.SCALE]
    function = _core_function(architecture, recipe, core)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module())
    configure(converter, recipe, observations)
    return scaling_ops.add_scaling(converter.convert(), architecture, recipe, variables, scale_observations)


def _core_function(
    architecture: architecture_lib.PolicyArchitecture, recipe: recipe_lib.Recipe, core: Mapping[str, np.ndarray]
) -> Any:
    activation: Callable[[Any], Any] = tf.nn.relu if architecture.activation == "relu" else tf.tanh

    @tf.function(input_signature=[tf.TensorSpec([1, architecture.observation_size], tf.float32, name="observation")])
    def policy(observation: Any) -> dict[str, Any]:
        x = observation
        for name in architecture.layer_names:
            x = tf.matmul(x, tf.constant(core[f"{name}/kernel"])) + tf.constant(core[f"{name}/bias"])
            x = x if name == "head" else activation(x)
        if architecture.head == "action":
            x = tf.tanh(x)
            if recipe.io == "int8" and scaling_ops.has_action_scaling(architecture):
                middle, half_range = architecture.action_scaling()
                x = x * tf.constant(half_range) + tf.constant(middle)
        return {architecture.head: x}

    return policy


def configure(converter: Any, recipe: recipe_lib.Recipe, observations: np.ndarray | None) -> None:
    """Tells a `tf.lite.TFLiteConverter` the recipe.

    Args:
      converter: that is told.
      recipe: in force.
      observations: for calibration, float32 [N, D] as the core takes them; None where the recipe needs none.
    """
    if recipe.weight_type != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.weight_type == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if not recipe.is_static:
        return
    if observations is None:
        raise ValueError(f"recipe '{recipe.name}' needs observations for calibration")
    calibration = np.ascontiguousarray(observations, np.float32)

    def dataset() -> Iterator[list[np.ndarray]]:
        for i in range(len(calibration)):
            yield [calibration[i : i + 1]]

    converter.representative_dataset = dataset
    sets = tf.lite.OpsSet
    converter.target_spec.supported_ops = [
        sets.TFLITE_BUILTINS_INT8
        if recipe.activation_type == "int8"
        else sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    ]
    if recipe.io == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
