"""Tests of the tanh with inverting gradients, alone and as a policy's head."""

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import inverting_gradients
from tfquarl.networks import policy_network
from tfquarl.networks import quantization_aware
from tfquarl.quantization import bit_widths

_HALF = float(np.arctanh(0.5))
# Input, gradient from above, gradient that comes out.
_CASES = {
    "grows_from_the_middle": (0.0, -2.0, -1.0),
    "shrinks_from_the_middle": (0.0, 2.0, 1.0),
    "grows_halfway_up": (_HALF, -1.0, -0.25),
    "comes_back_from_halfway_up": (_HALF, 1.0, 0.75),
    "shrinks_halfway_down": (-_HALF, 1.0, 0.25),
    "comes_back_from_halfway_down": (-_HALF, -1.0, -0.75),
    "stays_at_the_upper_bound": (20.0, -1.0, 0.0),
    "comes_back_from_the_upper_bound": (20.0, 1.0, 1.0),
    "comes_back_from_the_lower_bound": (-20.0, -1.0, -1.0),
    "nothing_is_asked": (0.3, 0.0, 0.0),
}


@pytest.mark.parametrize("x, upstream, expected", _CASES.values(), ids=_CASES)
def test_gradients(x: float, upstream: float, expected: float) -> None:
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        loss = upstream * inverting_gradients.tanh(variable)
    assert tape.gradient(loss, variable).numpy() == pytest.approx(expected, abs=1e-6)


def test_outputs_are_those_of_tanh() -> None:
    x = tf.linspace(-12.0, 12.0, 101)
    np.testing.assert_array_equal(inverting_gradients.tanh(x).numpy(), tf.tanh(x).numpy())


ARCHITECTURE = architecture_lib.PolicyArchitecture(2, (4,), 1, "action", "relu", (-2.0,), (2.0,))
QUANTIZATIONS = {
    "float": None,
    "quantized": quantization_aware.QuantizationAware(bit_widths.BitWidths(8, 8)),
}


@pytest.mark.parametrize("quantization", QUANTIZATIONS.values(), ids=QUANTIZATIONS)
@pytest.mark.parametrize("inverts", [True, False], ids=["inverting", "tanh"])
def test_a_policy_comes_back_from_its_bound(
    quantization: quantization_aware.QuantizationAware | None, inverts: bool
) -> None:
    """Its head's bias of 3 puts actions half a percent below 2; a loss that grows with them asks for less."""
    network = policy_network.PolicyNetwork(ARCHITECTURE, quantization=quantization, inverts_gradients=inverts)
    variables = network.policy_variables
    variables["head/bias"].assign([3.0])
    optimizer = tf.keras.optimizers.legacy.SGD(0.2)
    for _ in range(50):
        with tf.GradientTape() as tape:
            actions, _ = network(tf.ones([3, 2]), training=True)
            loss = tf.reduce_mean(actions)
        optimizer.apply_gradients([(tape.gradient(loss, variables["head/bias"]), variables["head/bias"])])
    assert (actions.numpy().max() < 1.0) == inverts
