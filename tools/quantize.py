"""Quantizes a policy that was not trained here, and exports it as a verified bundle for edge devices.

    ./bazelw run //tools:quantize -- --model=policy.keras --environment=gym:CartPole-v1 --output_dir=/tmp/policy
    ./bazelw run //tools:quantize -- --model=saved_policy/ --head=action --observations=seen.npz --output_dir=/tmp/policy
    ./bazelw run //tools:quantize -- --model=weights.npz --gin_file=architecture.gin --observations=seen.npz --output_dir=/tmp/policy

Reads Keras models (.keras, .h5), SavedModels, directories of TF-Agents' PolicySaver, and weights (.npz).
"""

import math
import os
import pathlib

from absl import flags

from tfquarl.core import errors
from tfquarl.export import command
from tfquarl.export import float_source
from tfquarl.program import command_line
from tfquarl.program import export_flags
from tfquarl.program import gin_loading

_MODEL = flags.DEFINE_string("model", None, "The policy: .keras, .h5, .npz, or a directory with a SavedModel.")
_SIGNATURE = flags.DEFINE_string("signature", "serving_default", "Which signature of a SavedModel is the policy.")
_RECIPE = flags.DEFINE_string("recipe", "static_wi8_ai8", "Quantization recipe.")
_HEAD = flags.DEFINE_enum(
    "head", None, ["q_values", "action"], "What the policy gives. Default: by the environment or the weights."
)
_ENVIRONMENT = flags.DEFINE_string(
    "environment", None, "Its task, e.g. 'gym:CartPole-v1'; needed without --observations."
)
_ACTION_REPEAT = flags.DEFINE_integer(
    "action_repeat", 1, "Environment steps that each action is held for.", lower_bound=1
)
_OBSERVATIONS = flags.DEFINE_string(
    "observations", None, "An .npz of real observations [N, D]. Default: collected by acting in --environment."
)
_NUM_OBSERVATIONS = flags.DEFINE_integer(
    "num_observations", 1000, "Calibration observations to collect; half as many more judge.", lower_bound=64
)
_ACTION_LOW = flags.DEFINE_list(
    "action_low", None, "Lower bounds of the actions. Default: by the environment or the weights, else -1."
)
_ACTION_HIGH = flags.DEFINE_list(
    "action_high", None, "Upper bounds of the actions. Default: by the environment or the weights, else 1."
)
_GIN_FILE = flags.DEFINE_multi_string(
    "gin_file", [], "Binds PolicyArchitecture, for weights (.npz): which network they are."
)
_GIN_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings",
    [],
    "A binding like 'PolicyArchitecture.hidden_sizes = (64, 64)'. Hidden layers are relu without \"PolicyArchitecture.activation = 'tanh'\"; "
    "actions are tanh between their bounds: a linear action head goes in as a Keras model.",
)
export_flags.define()
flags.adopt_module_key_flags(export_flags)  # so that --help lists them


def main() -> int:
    """Quantizes and exports, and gives the exit code."""
    if not _MODEL.value:
        return command_line.fail("--model is needed: a .keras, .h5 or .npz file, or the directory of a SavedModel")
    given = command.parsed_flags()
    given.checked_output_dir()
    recipe = given.recipe(_RECIPE.value)
    path = pathlib.Path(_MODEL.value)
    request = command.QuantizeRequest(
        environment=_ENVIRONMENT.value,
        action_repeat=_ACTION_REPEAT.value,
        head=_HEAD.value,
        action_low=_numbers("action_low", _ACTION_LOW.value),
        action_high=_numbers("action_high", _ACTION_HIGH.value),
        observations=_OBSERVATIONS.value,
        num_observations=_NUM_OBSERVATIONS.value,
    )
    return command.quantize(_source(path), path.name, request, recipe, given)


def _source(path: pathlib.Path) -> float_source.FloatSource:
    if path.suffix == ".npz":
        return float_source.read_weights(path, gin_loading.load_architecture(_GIN_FILE.value, _GIN_BINDINGS.value))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong comes as an exception
    from tfquarl.export import foreign_policy  # TensorFlow

    return foreign_policy.load(path, _SIGNATURE.value)


def _numbers(flag: str, texts: list[str] | None) -> tuple[float, ...] | None:
    if texts is None:
        return None
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError:
        numbers = (math.nan,)
    if not all(map(math.isfinite, numbers)):
        raise errors.ConfigError(
            f"--{flag}={','.join(texts)} needs numbers with commas between them, all of them finite"
        )
    return numbers


if __name__ == "__main__":
    command_line.run(main)
