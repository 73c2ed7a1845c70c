"""policy.json: all that a program needs to know to run the policy of a bundle."""

from typing import Any

from tfquarl.core import environment_spec
from tfquarl.export import candidate as candidate_lib
from tfquarl.export import edge_model
from tfquarl.runtime import integer_core

KIND = "tfquarl-policy-bundle"
FORMAT = f"{KIND}/2"

_NO_INTEGERS = {"scale": None, "zero_point": None}


def describe(
    policy: candidate_lib.PolicyCandidate,
    model: edge_model.EdgeModel,
    layout: list[dict[str, Any]],
    arena_bytes: int | None,
    versions: dict[str, str],
) -> dict[str, Any]:
    """The description as plain JSON values.

    Args:
      policy: what was exported.
      model: its model.
      layout: of the observation, one row an element.
      arena_bytes: that TensorFlow Lite Micro needs; None where it does not run the model.
      versions: of the packages that took part.
    """
    return {
        "format": FORMAT,
        "name": policy.name,
        "environment": policy.spec.to_json(),
        "policy": {
            "recipe": policy.recipe.name,
            "io": policy.recipe.io,
            "version": policy.facts.get("version"),
            "train_step": policy.facts.get("train_step"),
        },
        "observation": {
            "size": policy.spec.observation_size,
            "dtype": "float32",
            "elements": layout,
            "scaling": _scaling(policy, model),
        },
        "action": _action(policy.spec),
        "input": {"name": edge_model.INPUT_NAME, **_input(model, policy.spec)},
        "output": {"name": model.output_name, **_output(model, policy.spec)},
        "arena_bytes": arena_bytes,
        "operators": [{"name": name, "version": version} for name, version in model.operators],
        "versions": versions,
    }


def metadata(policy: candidate_lib.PolicyCandidate) -> dict[str, Any]:
    """What policy.tflite itself holds."""
    return {
        "format": FORMAT,
        "environment": policy.spec.name,
        "output": policy.output_name,
        "recipe": policy.recipe.name,
        "io": policy.recipe.io,
        "version": policy.facts.get("version"),
        "train_step": policy.facts.get("train_step"),
    }


def _action(spec: environment_spec.EnvironmentSpec) -> dict[str, Any]:
    if spec.is_discrete:
        return {"kind": "discrete", "num_actions": spec.num_actions, "rule": "the index of the largest of q_values"}
    return {"kind": "continuous", "size": spec.action_size, "low": spec.action_low, "high": spec.action_high}


def _scaling(policy: candidate_lib.PolicyCandidate, model: edge_model.EdgeModel) -> dict[str, Any] | None:
    """The scaling of observations that is in the model, or in its encoding."""
    scaling = policy.scaling
    if scaling is None:
        return None
    place = "the model" if model.io == "float32" else "input.encoding"
    return {
        **scaling,
        "rule": f"(observation[i] - offset[i]) * scale[i]; {place} does it, so that nobody else may",
    }


def _input(model: edge_model.EdgeModel, spec: environment_spec.EnvironmentSpec) -> dict[str, Any]:
    shape = [1, spec.observation_size]
    if model.io == "float32" or model.core is None:
        text = "the observation as it is; scaling and quantization are inside the model"
        inside = model.core and _inside(model.core.dtype, model.core.input_scale, model.core.input_zero_point)
        return {"shape": shape, "dtype": "float32", **_NO_INTEGERS, "encoding": None, "inside": inside, "rule": text}
    return {
        "shape": shape,
        "dtype": "int8",
        "scale": model.core.input_scale,
        "zero_point": model.core.input_zero_point,
        "encoding": _lists(model.core.encode),
        "rule": "input[i] = clip(round((observation[i] - offset[i]) * multiplier[i]) + zero_point, -128, 127); observation scaling is in it",
    }


def _output(model: edge_model.EdgeModel, spec: environment_spec.EnvironmentSpec) -> dict[str, Any]:
    shape = [1, spec.num_actions or spec.action_size]
    if model.io == "float32" or model.core is None:
        rule = f"{model.output_name} as they are"
        inside = model.core and _inside(model.core.dtype, model.core.output_scale, model.core.output_zero_point)
        return {"shape": shape, "dtype": "float32", **_NO_INTEGERS, "decoding": None, "inside": inside, "rule": rule}
    return {
        "shape": shape,
        "dtype": "int8",
        "scale": model.core.output_scale,
        "zero_point": model.core.output_zero_point,
        "decoding": _lists(model.core.decode),
        "rule": f"{model.output_name}[i] = output[i] * multiplier[i] + addend[i]"
        + ("" if spec.is_discrete else "; the map to the action bounds is in it"),
    }


def _inside(dtype: str, scale: float, zero_point: int) -> dict[str, Any]:
    """What a model with float ends does behind them, for the curious."""
    return {"dtype": dtype, "scale": scale, "zero_point": zero_point}


def _lists(constants: integer_core.Encoding | integer_core.Affine) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in vars(constants).items()}
