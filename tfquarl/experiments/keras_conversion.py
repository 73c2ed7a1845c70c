"""A snapshot to a TFLite model as TensorFlow's guide to post-training quantization has it: TFLiteConverter.from_keras_model."""

from typing import Any

import numpy as np

from tfquarl.converter import reference_path
from tfquarl.core import records
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import observation_scaling
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import flatbuffer


class KerasConversion:
    """The policy's dense layers as a Keras model, converted once per snapshot.

    The scaling of the observations stays outside of the model, so that this side has the least work.
    """

    def __init__(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        recipe: recipe_lib.Recipe,
        observations: np.ndarray,
    ) -> None:
        """Builds the model.

        Args:
          architecture: of the policy.
          recipe: in force.
          observations: for calibration, float32 [N, D], as the environment gives them.
        """
        self._architecture, self._recipe, self._observations = architecture, recipe, observations
        self._model = _build(architecture)
        self._scaled: np.ndarray | None = None

    def load(self, snapshot: records.PolicySnapshot) -> None:
        """Puts the snapshot's weights into the model, and scales the observations for it; no part of the conversion."""
        variables = snapshot.variables
        parts = [(f"{name}/kernel", f"{name}/bias") for name in self._architecture.layer_names]
        self._model.set_weights([variables[name] for pair in parts for name in pair])
        offset, scale = variables[observation_scaling.OFFSET], variables[observation_scaling.SCALE]
        self._scaled = (self._observations - offset) * scale if self._recipe.needs_calibration else None

    def convert(self) -> bytes:
        """The loaded snapshot's core as a flatbuffer."""
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(self._model)
        reference_path.configure(converter, self._recipe, self._scaled)
        return converter.convert()


def _build(architecture: architecture_lib.PolicyArchitecture) -> Any:
    import tensorflow as tf

    keras = tf.keras
    layers = [keras.layers.Dense(units, architecture.activation) for units in architecture.hidden_sizes]
    layers.append(keras.layers.Dense(architecture.output_size, "tanh" if architecture.head == "action" else None))
    return keras.Sequential([keras.Input((architecture.observation_size,), batch_size=1), *layers])


def dense_constants(model: bytes) -> list[np.ndarray]:
    """Kernels and biases of a model's dense layers as they are stored, in order."""
    layout = flatbuffer.read_layout(model)
    widened = {o.outputs[0]: o.inputs[0] for o in layout.operators if o.name == "DEQUANTIZE"}
    tensors = [
        layout.tensors[widened.get(index, index)]
        for operator in layout.operators
        if operator.name == "FULLY_CONNECTED"
        for index in operator.inputs[1:]
        if index >= 0
    ]
    return [tensor.values(model) for tensor in tensors]


def has_same_constants(model: bytes, other: bytes) -> bool:
    """Whether the dense layers of both models hold the same numbers."""
    ours, theirs = dense_constants(model), dense_constants(other)
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs))
