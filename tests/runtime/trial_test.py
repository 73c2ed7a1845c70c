"""Trials of models on TensorFlow Lite Micro, in processes of their own."""

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.runtime import trial

_MICRO = trial.Runtime("tflite-micro", "reference")


def _padded_sum(size: int) -> bytes:
    """A model of about a kilobyte whose activations are `size` floats, all 0 but the input."""
    function = tf.function(
        lambda x: tf.reduce_sum(tf.pad(x, [[0, 0], [0, size - 1]]), axis=1, keepdims=True),
        input_signature=[tf.TensorSpec([1, 1])],
    )
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], function).convert()


@pytest.mark.parametrize("size", [100, 100_000], ids=["less than the model", "hundreds of times the model"])
def test_the_arena_is_as_large_as_the_activations_need(size: int):
    found = trial.run(_MICRO, _padded_sum(size), np.float32([[2], [3]]))
    assert found.refusal == ""
    np.testing.assert_array_equal(found.outputs, [[2], [3]])
    assert found.arena_bytes is not None and 4 * size < found.arena_bytes < 4 * size + 4096


def test_a_model_that_no_arena_is_large_enough_for_is_refused_with_what_it_needs():
    found = trial.run(_MICRO, _padded_sum(2**27), np.float32([[2]]))
    assert found.outputs is None and "Requested: 536870960, available 2684" in found.refusal
