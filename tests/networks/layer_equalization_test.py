"""Equalized layers: other scales of the hidden units, the same policy."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import layer_equalization
from tfquarl.networks import numpy_policy

_ARCHITECTURE = architecture_lib.PolicyArchitecture(1, (2,), 1, "q_values")


def _by_hand(kernel: list[float], bias: list[float], next_kernel: list[float]) -> dict[str, np.ndarray]:
    return {
        "observation_scaling/offset": np.float32([0]),
        "observation_scaling/scale": np.float32([1]),
        "dense_0/kernel": np.float32([kernel]),
        "dense_0/bias": np.float32(bias),
        "head/kernel": np.float32(next_kernel)[:, np.newaxis],
        "head/bias": np.float32([3]),
    }


def _random(seed: int, architecture: architecture_lib.PolicyArchitecture) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    variables = {
        name: generator.standard_normal(shape).astype(np.float32)
        for name, shape in architecture.variable_shapes().items()
    }
    variables["observation_scaling/scale"] = np.abs(variables["observation_scaling/scale"])
    return variables


def _observations(count: int) -> np.ndarray:
    return np.random.default_rng(4).standard_normal((count, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("kernel", "bias", "next_kernel", "expected"),
    [
        # Units that differ by a factor of four, which the next layer takes back, come to lie in the middle.
        ([1, 4], [0, 0], [1, 0.25], {"kernel": [2, 2], "bias": [0, 0], "next": [0.5, 0.5]}),
        ([1, 4], [1, 4], [-1, 0.25], {"kernel": [2, 2], "bias": [2, 2], "next": [-0.5, 0.5]}),
        ([3, 3], [1, 1], [2, 2], {"kernel": [3, 3], "bias": [1, 1], "next": [2, 2]}),
        # A unit that nobody listens to, or that can't be active, keeps its scale.
        ([5, 7], [0, 0], [1, 0], {"kernel": [5, 7], "bias": [0, 0], "next": [1, 0]}),
        ([5, 0], [0, -1], [1, 9], {"kernel": [5, 0], "bias": [0, -1], "next": [1, 9]}),
    ],
    ids=["factor", "factor with biases", "alike", "ignored unit", "dead unit"],
)
def test_by_hand(kernel: list, bias: list, next_kernel: list, expected: dict):
    variables = _by_hand(kernel, bias, next_kernel)
    equalized = layer_equalization.equalize(_ARCHITECTURE, variables, np.float32([[1], [2], [-1]]))
    np.testing.assert_allclose(equalized["dense_0/kernel"], [expected["kernel"]], rtol=1e-6)
    np.testing.assert_allclose(equalized["dense_0/bias"], expected["bias"], rtol=1e-6)
    np.testing.assert_allclose(equalized["head/kernel"][:, 0], expected["next"], rtol=1e-6)
    assert equalized["head/bias"] is variables["head/bias"]
    assert list(equalized) == list(variables)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
    seed=strategies.integers(0, 2**32 - 1),
    hidden_sizes=strategies.lists(strategies.integers(1, 20), min_size=1, max_size=4),
)
def test_policy_stays_the_same(seed: int, hidden_sizes: list[int]):
    architecture = architecture_lib.PolicyArchitecture(5, tuple(hidden_sizes), 3, "q_values")
    variables, observations = _random(seed, architecture), _observations(40)
    equalized = layer_equalization.equalize(architecture, variables, observations)
    architecture.check_variables(equalized, "equalized")
    before, after = (
        numpy_policy.forward(architecture, side, observations)["output"] for side in (variables, equalized)
    )
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(seed=strategies.integers(0, 2**32 - 1), spread=strategies.floats(0, 3))
def test_scales_that_a_layer_comes_with_do_not_matter(seed: int, spread: float):
    architecture = architecture_lib.PolicyArchitecture(5, (16,), 3, "q_values")
    variables = _random(seed, architecture)
    logarithms = spread * np.random.default_rng(seed).uniform(-1, 1, 16)
    scales = np.exp(logarithms - logarithms.mean()).astype(np.float32)
    other = {
        **variables,
        "dense_0/kernel": variables["dense_0/kernel"] * scales,
        "dense_0/bias": variables["dense_0/bias"] * scales,
        "head/kernel": variables["head/kernel"] / scales[:, np.newaxis],
    }
    equalized, again = (
        layer_equalization.equalize(architecture, side, _observations(40)) for side in (variables, other)
    )
    for name, value in equalized.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-3, atol=1e-5 * np.abs(value).max())


@pytest.mark.parametrize("count", [1, 63, 64, 1000])
def test_any_number_of_observations_will_do(count: int):
    architecture = architecture_lib.PolicyArchitecture(5, (16,), 3, "q_values")
    variables = _random(3, architecture)
    equalized = layer_equalization.equalize(architecture, variables, _observations(count))
    assert not np.array_equal(equalized["dense_0/kernel"], variables["dense_0/kernel"])


def test_a_tanh_has_no_factor_to_pass_on():
    architecture = architecture_lib.PolicyArchitecture(1, (2,), 1, "q_values", "tanh")
    variables = _by_hand([1, 4], [0, 0], [1, 0.25])
    equalized = layer_equalization.equalize(architecture, variables, np.float32([[1]]))
    assert all(equalized[name] is value for name, value in variables.items())


def test_observation_that_is_all_zero_leaves_the_policy_as_it_is():
    variables = _by_hand([1, 4], [0, 0], [1, 0.25])
    equalized = layer_equalization.equalize(_ARCHITECTURE, variables, np.float32([[0]]))
    np.testing.assert_array_equal(equalized["dense_0/kernel"], variables["dense_0/kernel"])


@pytest.mark.parametrize("name", ["dense_0/kernel", "dense_0/bias", "head/kernel", "observation_scaling/offset"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_what_float32_can_not_hold_is_left_for_the_converter_to_name(name: str, value: float):
    variables = _by_hand([1, 4], [0, 0], [1, 0.25])
    variables[name] = variables[name] * 0 + np.float32([value]).reshape([-1] + [1] * (variables[name].ndim - 1))
    equalized = layer_equalization.equalize(_ARCHITECTURE, variables, np.float32([[1], [2]]))
    for key, array in variables.items():
        np.testing.assert_array_equal(equalized[key], array)
