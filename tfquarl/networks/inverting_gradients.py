"""A tanh for bounded actions whose outputs come back from the bounds.

Tanh's own gradient vanishes there: a policy that early, meaningless gradients have driven to its bounds stays at them, whatever
its critic learns later.
"""

from typing import Any

import tensorflow as tf


@tf.custom_gradient
def tanh(x: tf.Tensor) -> Any:
    """tanh(x), with inverting gradients (arXiv 1511.04143, "Inverting Gradients", for bounds -1 and 1).

    A gradient that makes the output grow is multiplied by its distance to 1, one that makes it shrink by its distance to -1, each as a
    share of the range. So it fades on the way to a bound and is whole on the way back, where tanh's own fades both ways.
    """
    output = tf.tanh(x)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        """Of the loss by x; optimizers go against it, so that a negative `upstream` makes the output grow."""
        return upstream * 0.5 * tf.where(upstream < 0, 1 - output, 1 + output)

    return output, gradient
