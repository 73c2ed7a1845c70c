"""Tests of networks.range_quantizers."""

from typing import Any

import pytest
import tensorflow as tf

from tfquarl.networks import quantization_aware
from tfquarl.networks import range_quantizers


def _quantizer(ranges: str) -> tuple[Any, dict[str, tf.Variable]]:
    quantizer = range_quantizers.make(8, quantization_aware.QuantizationAwareConfig(ranges=ranges))
    return quantizer, quantizer.build(None, "range", tf.keras.layers.Layer())


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "compiled"])
@pytest.mark.parametrize(("end", "outwards"), [("min_var", -1.0), ("max_var", 1.0)], ids=["low", "high"])
def test_a_learned_end_stops_at_zero_and_comes_back(end: str, outwards: float, jit_compile: bool):
    quantizer, weights = _quantizer("learned")
    quantizer(tf.constant([-2.0, 2.0]), True, weights, is_observing=False)
    optimizer = tf.keras.optimizers.legacy.Adam(1.0)
    optimizer._create_all_weights([weights[end]])

    def train(direction: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            # What is cut off at the end has the end's value.
            outputs = quantizer(tf.constant([0.0, 4.0 * outwards]), True, weights, is_observing=False)
            loss = -direction * tf.reduce_sum(outputs)
        optimizer.apply_gradients([(tape.gradient(loss, weights[end]), weights[end])])

    compiled = tf.function(train, jit_compile=jit_compile)
    # Adam moves by its learning rate, 1, where the gradient stays the same.
    for expected in (1.0, 0.0, 0.0):
        compiled(tf.constant(-outwards))
        assert float(weights[end]) == pytest.approx(expected * outwards, abs=1e-4)
    for _ in range(20):
        compiled(tf.constant(outwards))
    assert float(weights[end]) * outwards > 2.0


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "compiled"])
@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 0.0, [0.0, 0.0, 1e-6]),
        (-255.0, 0.0, [-255.0, 0.0, 0.0]),
        (0.0, 2.55, [0.0, 0.0, 2.55]),
        (-1.0, 1.55, [-1.0, 0.0, 1.55]),
    ],
    ids=["empty", "below 0", "above 0", "both sides"],
)
@pytest.mark.parametrize("ranges", quantization_aware.RANGES)
def test_puts_its_inputs_on_the_grid(ranges: str, low: float, high: float, expected: list[float], jit_compile: bool):
    quantizer, weights = _quantizer(ranges)
    weights["min_var"].assign(low)
    weights["max_var"].assign(high)
    function = tf.function(lambda x: quantizer(x, False, weights, is_observing=False), jit_compile=jit_compile)
    assert function(tf.constant([-300.0, 0.0, 300.0])).numpy() == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [([3.0, 5.0], (0.0, 5.0)), ([-3.0, 5.0], (-3.0, 5.0)), ([1.0, 5.0], (-1.0, 1.0)), ([0.0, 0.0], (-1.0, 1.0))],
    ids=["all above", "above and below", "one within", "zeros"],
)
def test_a_learned_range_that_holds_nothing_of_a_batch_starts_anew(inputs: list[float], expected: tuple[float, float]):
    quantizer, weights = _quantizer("learned")
    weights["min_var"].assign(-1.0)
    weights["max_var"].assign(1.0)
    quantizer(tf.constant(inputs), True, weights, is_observing=False)
    assert (float(weights["min_var"]), float(weights["max_var"])) == expected
