"""A table for TF-Agents' `ReverbVariableContainer`: how its users send weights to actors, and what this project is compared with."""

from collections.abc import Mapping

import reverb
import tensorflow as tf

TABLE = "variables"


def make_variable_table(shapes: Mapping[str, tuple[int, ...]]) -> reverb.Table:
    """A table of one item, as TF-Agents' distributed examples make it: the train step, and float32 variables.

    Args:
      shapes: of the variables by name, in the order in which they are pushed.
    """
    # Names and structure are those that the container's users give: `TRAIN_STEP_KEY` and `POLICY_KEY`.
    signature = {
        "policy_variables": [tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()],
        "train_step": tf.TensorSpec([], tf.int64, "train_step"),
    }
    return reverb.Table(
        name=TABLE,
        sampler=reverb.selectors.Uniform(),
        remover=reverb.selectors.Fifo(),
        rate_limiter=reverb.rate_limiters.MinSize(1),
        max_size=1,
        max_times_sampled=0,
        signature=signature,
    )
