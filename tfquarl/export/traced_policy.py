"""Functions of policies that were not trained here: traced for one observation, and cut before the choice of an action."""

from collections.abc import Callable
import math
import pathlib
import re
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from tfquarl.core import errors

_TOLD = re.compile(r"^\s*\w+Error: .*$", re.MULTILINE)
_DRAWS = re.compile(r"Random|Multinomial|TruncatedNormal|RngReadAndSkip")


def trace(path: pathlib.Path, call: Callable[[Any], Any], size: int) -> Any:
    """A TensorFlow function from float32 [1, `size`] to what `call` gives for it, by the name 'output'.

    Args:
      path: that the policy was read from, for messages.
      call: from a tensor to a tensor.
      size: elements of an observation.

    Raises:
      ConfigError: it can't be run on one observation, or gives neither values [1, O] nor the index of one action.
    """

    @tf.function(input_signature=[tf.TensorSpec([1, size], tf.float32, name="observation")])
    def policy(observation: Any) -> dict[str, Any]:
        return {"output": call(observation)}

    try:
        policy(tf.zeros([1, size]))
    except Exception as error:  # whatever a foreign function raises
        raise errors.ConfigError(
            f"{path} can't be run on one observation, float32[1, {size}]: {reason(error)}"
        ) from error
    result = output_of(policy)
    if not _is_action(result) and not _is_values(result):
        raise errors.ConfigError(
            f"{path} gives {result.dtype.name}{result.shape} for an observation, a policy gives float32[1, size] or the index of one action"
        )
    return policy


def output_of(function: Any) -> Any:
    """Type and shape of what a traced function gives."""
    return function.get_concrete_function().structured_outputs["output"]


def draws_random_numbers(path: pathlib.Path, function: Any) -> bool:
    """Whether the output of a traced function depends on random numbers, however seldom.

    Raises:
      ConfigError: it has variables that change.
    """
    graph = _freeze(path, function).graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return any(_DRAWS.search(node.op) for node in nodes)


def before_argmax(path: pathlib.Path, function: Any, size: int) -> Any:
    """The function for the values whose largest a discrete policy picks.

    Args:
      path: as of `trace`.
      function: traced; it gives the index of an action.
      size: as of `trace`.

    Raises:
      ConfigError: the index does not come from one ArgMax over values [1, O], or from variables that change.
    """
    frozen = _freeze(path, function)
    picks = [operation for operation in frozen.graph.get_operations() if operation.type == "ArgMax"]
    if len(picks) != 1:
        raise errors.ConfigError(
            f"{path} gives integer actions by {len(picks)} ArgMax operations; needs a policy that picks the largest of its values, or "
            "a model that gives the values themselves"
        )
    values = picks[0].inputs[0]
    if not _is_values(values):
        raise errors.ConfigError(
            f"{path} picks its action from {values.dtype.name}{values.shape}, a policy picks one of float32[1, size]; give the values "
            "themselves"
        )
    pruned = frozen.prune(frozen.inputs[0], values)
    return trace(path, lambda x: tf.ensure_shape(pruned(x), [1, values.shape[-1]]), size)


def reason(error: Exception) -> str:
    """What an error of TensorFlow or Keras says, in one line."""
    text = str(error).strip() or type(error).__name__
    told = _TOLD.search(text)  # behind a stack in several lines
    return (told.group() if told else text.splitlines()[0]).strip()[:200]


def _freeze(path: pathlib.Path, function: Any) -> Any:
    """The function with its variables as constants, and without what its output does not depend on."""
    try:
        return convert_to_constants.convert_variables_to_constants_v2(function.get_concrete_function())
    except Exception as error:  # the freezing raises whatever its stages raise
        raise errors.ConfigError(
            f"{path} has variables that can't be made constants; leave counters, normalizers that update and generators of random "
            f"numbers out of the model ({reason(error)})"
        ) from error


def _is_values(tensor: Any) -> bool:
    shape = tensor.shape
    return tensor.dtype == tf.float32 and shape.rank == 2 and shape[0] in (None, 1) and shape[1] is not None


def _is_action(tensor: Any) -> bool:
    return (
        tensor.dtype.is_integer and tensor.shape.rank is not None and math.prod(side or 1 for side in tensor.shape) == 1
    )
