"""The float ends of a policy around its converted core: observation scaling in front, action scaling or mean values behind.

One scale for all features is where integer policies lose most, so that observations are scaled per feature in float before they are
quantized; and tanh's output, fixed at 1/128 per step, is mapped to the action bounds in float. The int8 softmax has steps of 1/256,
where each of 51 atoms has a probability of about 1/51, so that a categorical policy's softmax and mean are float too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.runtime import model_editor

OFFSET = "observation_scaling/offset"
SCALE = "observation_scaling/scale"


def has_action_scaling(architecture: architecture_lib.PolicyArchitecture) -> bool:
    """Whether the action bounds differ from [-1, 1]."""
    if architecture.head != "action":
        return False
    middle, half_range = architecture.action_scaling()
    return bool(np.any(middle != 0) or np.any(half_range != 1))


def core_variables(
    recipe: recipe_lib.Recipe, variables: Mapping[str, np.ndarray], scale_observations: bool
) -> dict[str, np.ndarray]:
    """Variables of the core network: all but the scaling's, which integer inputs have folded into the first layer.

    With integer inputs x @ kernel + bias of a scaled observation becomes
    observation @ (scale * kernel) + (bias - (offset * scale) @ kernel).
    """
    core = {name: value for name, value in variables.items() if name not in (OFFSET, SCALE)}
    if recipe.io == "int8" and scale_observations:
        name = "dense_0/kernel"
        kernel, scale, offset = variables[name], variables[SCALE], variables[OFFSET]
        core[name] = kernel * scale[:, np.newaxis]
        core["dense_0/bias"] = variables["dense_0/bias"] - (offset * scale) @ kernel
    return core


def add_scaling(
    model: bytes,
    architecture: architecture_lib.PolicyArchitecture,
    recipe: recipe_lib.Recipe,
    variables: Mapping[str, np.ndarray],
    scale_observations: bool,
) -> bytes:
    """The whole policy from its converted core, in canonical order with the architecture's names.

    Args:
      model: the core's flatbuffer as TFLiteConverter gave it.
      architecture: of the policy.
      recipe: in force.
      variables: of the policy, by name.
      scale_observations: whether the policy scales its observations.
    """
    editor = model_editor.ModelEditor(model)
    editor.separate_constants()
    _name_tensors(editor, architecture)
    _add_missing_biases(editor, recipe)
    if recipe.io == "float32":
        editor.tensor(editor.input).name = "scaled_observation" if scale_observations else "observation"
        if scale_observations:
            editor.prepend("MUL", variables[SCALE], SCALE, "centred_observation")
            editor.prepend("SUB", variables[OFFSET], OFFSET, "observation")
        if has_action_scaling(architecture):
            middle, half_range = architecture.action_scaling()
            editor.tensor(editor.output).name = "unit_action"
            editor.append("MUL", half_range, "action_scaling/half_range", "half_action")
            editor.append("ADD", middle, "action_scaling/middle", architecture.head)
        if architecture.is_categorical:
            _append_expected_values(editor, architecture)
    return editor.pack()


def _append_expected_values(
    editor: model_editor.ModelEditor, architecture: architecture_lib.PolicyArchitecture
) -> None:
    """q_values [1, num_actions] of logits [1, num_actions * num_atoms]: one row per action, softmax, times atoms, sum."""
    editor.tensor(editor.output).name = "logits"
    editor.append_reshape(architecture.num_atoms, "logits/by_action")
    editor.append_softmax("probabilities")
    editor.append("MUL", architecture.atoms(), "atoms", "weighted_atoms")
    editor.append_sum("expected_values")
    editor.append_reshape(architecture.output_size, architecture.head)


def _name_tensors(editor: model_editor.ModelEditor, architecture: architecture_lib.PolicyArchitecture) -> None:
    producers = {int(operator.outputs[0]): operator for _, operator in editor.operators}
    layers = iter(architecture.layer_names)
    name = "observation"
    for kind, operator in editor.operators:
        output = editor.tensor(int(operator.outputs[0]))
        if kind == "FULLY_CONNECTED":
            name = next(layers)
            output.name = name
            for index, part in zip(operator.inputs[1:], ("kernel", "bias")):
                if index < 0:
                    continue
                editor.tensor(int(index)).name = f"{name}/{part}"
                if int(index) in producers:  # float16 constants are widened by operators of their own
                    editor.tensor(int(producers[int(index)].inputs[0])).name = f"{name}/{part}/float16"
        elif kind == "QUANTIZE":
            output.name = f"{name}/quantized"
        elif kind != "DEQUANTIZE":
            output.name = f"{name}/{kind.lower()}"
    editor.tensor(editor.input).name = "observation"
    editor.tensor(editor.output).name = architecture.head


def _add_missing_biases(editor: model_editor.ModelEditor, recipe: recipe_lib.Recipe) -> None:
    """TFLiteConverter leaves out a bias of zeros; here every layer has one, so that all snapshots have one structure."""
    for kind, operator in editor.operators:
        if kind == "FULLY_CONNECTED" and int(operator.inputs[2]) < 0:
            source, kernel = editor.tensor(int(operator.inputs[0])), editor.tensor(int(operator.inputs[1]))
            name = kernel.name.removesuffix("/kernel") + "/bias"
            shape = [int(kernel.shape[0])]
            operator.inputs = [*operator.inputs[:2], _add_zero_bias(editor, recipe, name, shape, source, kernel)]


def _add_zero_bias(
    editor: model_editor.ModelEditor, recipe: recipe_lib.Recipe, name: str, shape: list[int], source: Any, kernel: Any
) -> int:
    zeros = np.zeros(shape, recipe.bias_type)
    if recipe.bias_type == "float16":
        return editor.add_dequantize(editor.add_tensor(f"{name}/float16", shape, "float16", zeros), name)
    index = editor.add_tensor(name, shape, recipe.bias_type, zeros)
    if recipe.is_static:
        scale = np.float32(source.quantization.scale[0]) * np.float32(kernel.quantization.scale[0])
        editor.set_scale(index, float(scale))
    return index
