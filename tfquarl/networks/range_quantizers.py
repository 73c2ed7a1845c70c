"""Quantizers of activations: those of tensorflow-model-optimization, with ranges that start at the first batch they see.

Each gives its input on the grid of its range, with straight-through gradients: 1 within the range, 0 beyond it.
"""

from typing import Any

import tensorflow as tf

from tfquarl.networks import model_optimization
from tfquarl.networks import quantization_aware
from tfquarl.quantization import low_bit


def make(bits: int, config: quantization_aware.QuantizationAwareConfig) -> Any:
    """A `tfmot` quantizer of one tensor."""
    if config.ranges == quantization_aware.ALL_VALUES:
        return AllValuesQuantizer(bits, per_axis=False, symmetric=False, narrow_range=False)
    quantizer = MovingAverageQuantizer if config.ranges == quantization_aware.MOVING_AVERAGE else LearnedRangeQuantizer
    return quantizer(bits, config.moving_average_decay)


class AllValuesQuantizer(model_optimization.quantizers.AllValuesQuantizer):
    """The least and the largest value of all batches."""

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any, **kwargs: Any) -> tf.Tensor:
        """The inputs on the grid; follows their range where `training`."""
        del kwargs
        if training:
            super().__call__(inputs, training, weights)
        return _fake_quantize(inputs, weights, self.num_bits)


class MovingAverageQuantizer(model_optimization.quantizers.MovingAverageQuantizer):
    """A moving average of each batch's least and largest value.

    TFMOT's own starts at [-6, 6] with a decay of 0.999, which takes thousands of train steps to forget.
    """

    def __init__(self, num_bits: int, decay: float) -> None:
        """Stores the arguments.

        Args:
          num_bits: of the values, 2 to 8.
          decay: share of the old range that stays.
        """
        super().__init__(num_bits, per_axis=False, symmetric=False, narrow_range=False)
        self._decay = decay

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, tf.Variable]:
        """Makes the range's variables, both 0: nothing was seen yet."""
        del tensor_shape
        return _range_variables(name, layer, is_trainable=False)

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any, **kwargs: Any) -> tf.Tensor:
        """The inputs on the grid; follows their range where `training`."""
        del kwargs
        low, high = weights["min_var"], weights["max_var"]
        if training:
            decay: Any = tf.where(tf.equal(low, high), 0.0, self._decay)
            model_optimization.quant_ops.MovingAvgQuantize(inputs, low, high, ema_decay=decay, num_bits=self.num_bits)
        return _fake_quantize(inputs, weights, self.num_bits)


class LearnedRangeQuantizer(MovingAverageQuantizer):
    """A moving average until the network is quantized, then variables that the optimizer moves.

    What is cut off at an end pulls that end towards it by its gradient (as in PACT, arXiv 1805.06085, equation 3). A range that holds
    nothing of a batch starts anew at that batch: no weight would get a gradient through it.
    """

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, tf.Variable]:
        """Makes the range's variables, trainable ones."""
        del tensor_shape
        return _range_variables(name, layer, is_trainable=True)

    def __call__(self, inputs: tf.Tensor, training: bool, weights: Any, **kwargs: Any) -> tf.Tensor:
        """The inputs on the grid; follows their range where `training` and the argument `is_observing` is True."""
        low, high = weights["min_var"], weights["max_var"]
        if kwargs["is_observing"]:
            return super().__call__(inputs, training, weights)
        if training:
            is_within = tf.logical_and(low <= inputs, inputs <= high)
            is_lost = tf.logical_or(tf.equal(low, high), tf.logical_not(tf.reduce_any(is_within)))
            low.assign(tf.where(is_lost, tf.minimum(tf.reduce_min(inputs), 0.0), low))
            high.assign(tf.where(is_lost, tf.maximum(tf.reduce_max(inputs), 0.0), high))
        return _fake_quantize(inputs, weights, self.num_bits)


def _range_variables(name: str, layer: Any, is_trainable: bool) -> dict[str, tf.Variable]:
    """Both 0. Optimizers keep 0 between them: beyond it an end would have no gradient to come back by."""
    zero = tf.constant_initializer(0.0)
    sides = {"min": lambda low: tf.minimum(low, 0.0), "max": lambda high: tf.maximum(high, 0.0)}
    return {
        f"{end}_var": layer.add_weight(f"{name}/{end}", (), initializer=zero, trainable=is_trainable, constraint=side)
        for end, side in sides.items()
    }


def _fake_quantize(inputs: tf.Tensor, weights: Any, num_bits: int) -> tf.Tensor:
    """The inputs on the grid of their range, which is widened to `low_bit.NARROWEST_RANGE`: XLA makes NaN of an empty one."""
    low, high = weights["min_var"], weights["max_var"]
    missing = tf.stop_gradient(tf.maximum(low_bit.NARROWEST_RANGE - (high - low), 0.0))
    return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high + missing, num_bits=num_bits)
