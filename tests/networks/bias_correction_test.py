"""Corrected biases: what rounding adds on average is taken back."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import bias_correction
from tfquarl.networks import numpy_policy

_ARCHITECTURE = architecture_lib.PolicyArchitecture(1, (2,), 1, "q_values")


def _by_hand() -> dict[str, np.ndarray]:
    return {
        "observation_scaling/offset": np.float32([1]),
        "observation_scaling/scale": np.float32([2]),
        # The step is 1, so that 2.25 is rounded to 2.
        "dense_0/kernel": np.float32([[127, 2.25]]),
        "dense_0/bias": np.float32([0, 1]),
        # The step is 2: 3.5 is rounded to 4.
        "head/kernel": np.float32([[254], [3.5]]),
        "head/bias": np.float32([5]),
    }


def _rounded(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The variables with kernels as int8 holds them."""
    rounded = dict(variables)
    for name, value in variables.items():
        if name.endswith("/kernel") and value.any():
            step = np.abs(value).max() / np.float32(127)
            rounded[name] = np.rint(value / step) * step
    return rounded


def test_by_hand():
    variables = _by_hand()
    # Observations 2 and 4 are inputs 2 and 6, with a mean of 4. Units are 254 and 5.5, then 762 and 14.5: means 508 and 10.
    corrected = bias_correction.correct(_ARCHITECTURE, variables, np.float32([[2], [4]]))
    np.testing.assert_allclose(corrected["dense_0/bias"], [0, 1 + 4 * 0.25])
    np.testing.assert_allclose(corrected["head/bias"], [5 - 10 * 0.5])
    assert list(corrected) == list(variables)
    assert all(corrected[name] is value for name, value in variables.items() if not name.endswith("/bias"))


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(
    seed=strategies.integers(0, 2**32 - 1),
    size=strategies.integers(1, 40),
    activation=strategies.sampled_from(["relu", "tanh"]),
)
def test_sums_of_the_first_layer_are_right_on_average(seed: int, size: int, activation: str):
    architecture = architecture_lib.PolicyArchitecture(5, (size,), 3, "q_values", activation)
    generator = np.random.default_rng(seed)
    variables = {
        name: generator.standard_normal(shape).astype(np.float32)
        for name, shape in architecture.variable_shapes().items()
    }
    observations = 1 + generator.standard_normal((32, 5)).astype(np.float32)
    corrected = _rounded(bias_correction.correct(architecture, variables, observations))
    x = (observations - variables["observation_scaling/offset"]) * variables["observation_scaling/scale"]
    sums, expected = (x @ side["dense_0/kernel"] + side["dense_0/bias"] for side in (corrected, variables))
    np.testing.assert_allclose(sums.mean(axis=0), expected.mean(axis=0), atol=1e-3)


def test_outputs_of_a_rounded_policy_are_nearer_to_the_float_ones():
    architecture = architecture_lib.PolicyArchitecture(5, (64, 64), 3, "q_values")
    generator = np.random.default_rng(3)
    variables = {
        name: generator.standard_normal(shape).astype(np.float32)
        for name, shape in architecture.variable_shapes().items()
    }
    observations = generator.standard_normal((500, 5)).astype(np.float32)
    expected = numpy_policy.forward(architecture, variables, observations)["output"]
    without, with_it = (
        np.abs(numpy_policy.forward(architecture, _rounded(side), observations)["output"] - expected).mean()
        for side in (variables, bias_correction.correct(architecture, variables, observations))
    )
    assert with_it < 0.75 * without


def test_a_policy_of_zeros_stays_as_it_is():
    variables = {name: np.zeros_like(value) for name, value in _by_hand().items()}
    corrected = bias_correction.correct(_ARCHITECTURE, variables, np.float32([[2], [4]]))
    for name, value in variables.items():
        np.testing.assert_array_equal(corrected[name], value)


@pytest.mark.parametrize("name", ["dense_0/kernel", "dense_0/bias", "head/kernel", "observation_scaling/offset"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_value_that_is_not_finite_is_left_for_the_converter_to_name(name: str, value: float):
    variables = _by_hand()
    variables[name] = np.full_like(variables[name], value)
    corrected = bias_correction.correct(_ARCHITECTURE, variables, np.float32([[2], [4]]))
    assert all(corrected[key] is array for key, array in variables.items())
