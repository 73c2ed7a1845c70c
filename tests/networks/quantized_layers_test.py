"""Tests of networks.quantized_layers, and of the policy network that holds them: whole numbers forwards, gradients backwards."""

import numpy as np
import pytest
import tensorflow as tf

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import low_bit_policy
from tfquarl.networks import policy_network
from tfquarl.networks import q_centering
from tfquarl.networks import quantization_aware
from tfquarl.quantization import bit_widths

_Q_VALUES = architecture_lib.PolicyArchitecture(3, (16, 12), 4, "q_values")
_ACTION = architecture_lib.PolicyArchitecture(3, (16, 12), 2, "action", "relu", (-2.0, 0.0), (2.0, 1.0))
_TANH = architecture_lib.PolicyArchitecture(3, (16,), 2, "action", "tanh", (-1.0, -1.0), (1.0, 1.0))
_ARCHITECTURES = {"q_values": _Q_VALUES, "action": _ACTION, "tanh": _TANH}
_COMPILED_BITS = (2, 5, 8)  # as compiling takes a second
_OBSERVATIONS = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)


def _network(
    architecture: architecture_lib.PolicyArchitecture,
    widths: bit_widths.BitWidths,
    ranges: str = "moving_average",
    delay: int = 0,
    train_step: tf.Variable | None = None,
) -> policy_network.PolicyNetwork:
    config = quantization_aware.QuantizationAwareConfig(delay, ranges)
    quantization = quantization_aware.QuantizationAware(widths, config)
    step = None if train_step is None else lambda: train_step
    network = policy_network.PolicyNetwork(architecture, quantization=quantization, train_step=step)
    generator = np.random.default_rng(1)
    for name, variable in network.policy_variables.items():
        if not name.startswith("observation_scaling/"):
            variable.assign(generator.standard_normal(variable.shape).astype(np.float32) / np.sqrt(variable.shape[0]))
    return network


def _call(network: policy_network.PolicyNetwork, training: bool = False) -> np.ndarray:
    return network(tf.constant(_OBSERVATIONS), training=training)[0].numpy()


def _compiled_call(network: policy_network.PolicyNetwork, jit_compile: bool) -> np.ndarray:
    function = tf.function(lambda x: network(x, training=False)[0], jit_compile=jit_compile)
    return function(tf.constant(_OBSERVATIONS)).numpy()


def _numpy_output(network: policy_network.PolicyNetwork, widths: bit_widths.BitWidths) -> np.ndarray:
    architecture = network.architecture
    variables = {name: value.numpy() for name, value in network.policy_variables.items()}
    variables = q_centering.center(architecture, variables)
    return low_bit_policy.forward(architecture, variables, network.activation_ranges(), widths, _OBSERVATIONS)


@pytest.mark.parametrize("per_channel", [False, True], ids=["per layer", "per unit"])
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("kind", _ARCHITECTURES)
def test_gives_what_the_integer_network_gives(kind: str, bits: int, per_channel: bool):
    widths = bit_widths.BitWidths(bits, bits, bits, bits, per_channel)
    network = _network(_ARCHITECTURES[kind], widths)
    for _ in range(2):
        _call(network, training=True)
    expected = _numpy_output(network, widths)
    outputs = [_call(network)]
    if (
        bits in _COMPILED_BITS
    ):  # TensorFlow's compilers may not change a rounding either: it is by them that a policy is trained
        outputs += [_compiled_call(network, jit_compile) for jit_compile in (False, True)]
    for got in outputs:
        if kind == "q_values":  # the mean over the actions is not quantized: the decision is
            got = got - got.mean(axis=-1, keepdims=True)
            expected = expected - expected.mean(axis=-1, keepdims=True)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ranges", quantization_aware.RANGES)
@pytest.mark.parametrize("kind", _ARCHITECTURES)
def test_ranges_that_saw_nothing_give_numbers_compiled_too(kind: str, ranges: str):
    """As in a target network, before it is moved for the first time."""
    network = _network(_ARCHITECTURES[kind], bit_widths.BitWidths(8, 8), ranges)
    network.create_variables()
    expected = _call(network)
    assert np.all(np.isfinite(expected))
    np.testing.assert_allclose(_compiled_call(network, jit_compile=True), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("per_channel", [False, True], ids=["per layer", "per unit"])
@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_take_few_values_after_the_delay_and_all_before_it(bits: int, per_channel: bool):
    train_step = tf.Variable(9, dtype=tf.int64)
    widths = bit_widths.BitWidths(bits, 8, per_channel=per_channel)
    network = _network(_ACTION, widths, delay=10, train_step=train_step)
    variables = {name: value.numpy() for name, value in network.policy_variables.items()}
    plain = policy_network.PolicyNetwork(_ACTION)
    plain.assign(variables, "test")
    np.testing.assert_allclose(_call(network, training=True), plain(_OBSERVATIONS)[0].numpy(), rtol=1e-5, atol=1e-6)
    train_step.assign(10)
    # The network multiplies by these weights: no others give what it gives.
    np.testing.assert_allclose(_call(network), _numpy_output(network, widths), rtol=1e-5, atol=1e-5)
    for layer in low_bit_policy.layers(_ACTION, variables, network.activation_ranges(), widths):
        groups = layer.kernel.T if per_channel else [layer.kernel.ravel()]
        assert max(len(np.unique(group)) for group in groups) <= 2**bits - 1
        assert len(np.unique(layer.kernel)) > 2


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_hidden_values_take_few_values(bits: int):
    widths = bit_widths.BitWidths(8, bits)
    network = _network(_Q_VALUES, widths)
    _call(network, training=True)
    variables = q_centering.center(_Q_VALUES, {n: v.numpy() for n, v in network.policy_variables.items()})
    layers = low_bit_policy.layers(_Q_VALUES, variables, network.activation_ranges(), widths)
    x = layers[0].source.round(_OBSERVATIONS / layers[0].source.scale)
    hidden = layers[0](x)
    assert 2 <= len(np.unique(hidden)) <= 2**bits


def test_before_the_delay_the_network_is_the_float_one_and_follows_ranges():
    train_step = tf.Variable(0, dtype=tf.int64)
    network = _network(_ACTION, bit_widths.BitWidths(2, 2), delay=5, train_step=train_step)
    plain = policy_network.PolicyNetwork(_ACTION)
    plain.assign({name: value.numpy() for name, value in network.policy_variables.items()}, "test")
    np.testing.assert_allclose(_call(network, training=True), plain(_OBSERVATIONS)[0].numpy(), rtol=1e-5, atol=1e-6)
    assert network.activation_ranges() == {}
    train_step.assign(5)
    low, high = network.activation_ranges()["scaled_observation"]
    assert (low, high) == pytest.approx((float(_OBSERVATIONS.min()), float(_OBSERVATIONS.max())))
    assert np.abs(_call(network) - plain(_OBSERVATIONS)[0].numpy()).max() > 0.05


@pytest.mark.parametrize("kind", _ARCHITECTURES)
def test_gradients_reach_every_weight_of_every_layer(kind: str):
    network = _network(_ARCHITECTURES[kind], bit_widths.BitWidths(4, 4))
    _call(network, training=True)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(tf.constant(_OBSERVATIONS), training=True)[0] - 0.3))
    named = network.policy_variables
    gradients = tape.gradient(loss, {name: named[name] for name in named if name.endswith(("/kernel", "/bias"))})
    for name, gradient in gradients.items():
        assert np.any(gradient.numpy() != 0), name


def test_the_straight_through_gradient_is_that_of_the_float_network_at_8_bits():
    network = _network(_Q_VALUES, bit_widths.BitWidths(8, 8))
    _call(network, training=True)
    plain = policy_network.PolicyNetwork(_Q_VALUES)
    plain.assign({name: value.numpy() for name, value in network.policy_variables.items()}, "test")
    found = []
    for one in (network, plain):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(one(tf.constant(_OBSERVATIONS))[0] ** 2)
        found.append(tape.gradient(loss, one.policy_variables["dense_1/kernel"]).numpy())
    assert np.abs(found[0] - found[1]).max() < 0.05 * np.abs(found[1]).max()


def test_all_values_ranges_never_shrink():
    network = _network(_Q_VALUES, bit_widths.BitWidths(8, 8), "all_values")
    network(tf.constant(5 * _OBSERVATIONS), training=True)
    before = network.activation_ranges()["dense_0"]
    _call(network, training=True)
    assert network.activation_ranges()["dense_0"] == before


def test_learned_ranges_are_moved_by_their_gradient_alone():
    network = _network(_Q_VALUES, bit_widths.BitWidths(8, 4), "learned")
    _call(network, training=True)
    before = network.activation_ranges()["dense_0"]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(tf.constant(3 * _OBSERVATIONS), training=True)[0] ** 2)
    assert network.activation_ranges()["dense_0"] == before
    names = [variable.name for variable in network.trainable_variables]
    (high,) = [variable for variable in network.trainable_variables if "dense_0/range/max" in variable.name]
    assert float(tape.gradient(loss, high)) != 0, names


def test_a_moving_average_starts_at_the_first_batch_and_decays():
    network = _network(_Q_VALUES, bit_widths.BitWidths(8, 8))
    for scale in (1.0, 3.0):
        network(tf.constant(scale * _OBSERVATIONS), training=True)
    highest = float(_OBSERVATIONS.max())
    assert network.activation_ranges()["scaled_observation"][1] == pytest.approx((0.99 + 0.01 * 3) * highest, rel=1e-5)


def test_a_checkpoint_restores_the_ranges(tmp_path: object):
    network = _network(_ACTION, bit_widths.BitWidths(4, 4))
    _call(network, training=True)
    path = tf.train.Checkpoint(network=network).save(f"{tmp_path}/checkpoint")
    other = _network(_ACTION, bit_widths.BitWidths(4, 4))
    assert other.activation_ranges() != network.activation_ranges()
    tf.train.Checkpoint(network=other).restore(path).assert_existing_objects_matched()
    assert other.activation_ranges() == network.activation_ranges()
    np.testing.assert_array_equal(_call(other), _call(network))


def test_a_copy_has_ranges_of_its_own_and_takes_the_first_ones_over():
    train_step = tf.Variable(0, dtype=tf.int64)
    network = _network(_ACTION, bit_widths.BitWidths(4, 4), train_step=train_step)
    _call(network, training=True)
    target = network.copy(name="target")
    target.create_variables()
    assert target.activation_ranges() != network.activation_ranges()
    for source, copy in zip(network.variables, target.variables, strict=True):
        copy.assign(source)
    assert target.activation_ranges() == network.activation_ranges()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"quant_delay": -1}, "quant_delay is -1"),
        ({"ranges": "guessed"}, "needs one of moving_average, all_values, learned"),
        ({"moving_average_decay": 1.0}, "moving_average_decay is 1.0"),
    ],
    ids=["delay", "ranges", "decay"],
)
def test_settings_out_of_range_are_refused(kwargs: dict, message: str):
    with pytest.raises(Exception, match=message):
        quantization_aware.QuantizationAwareConfig(**kwargs)


def test_one_keras_serves_tf_agents_and_model_optimization():
    import sys

    assert "tf_keras" not in sys.modules
    from tfquarl.networks import model_optimization

    assert issubclass(policy_network.PolicyNetwork, tf.keras.layers.Layer)
    assert model_optimization.quantizers.MovingAverageQuantizer(4, False, False, False).num_bits == 4
