"""Observations measured by their own units: another scaling, the same policy."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import numpy_policy
from tfquarl.networks import observation_scaling

_ARCHITECTURE = architecture_lib.PolicyArchitecture(2, (1,), 1, "q_values")


def _by_hand() -> dict[str, np.ndarray]:
    return {
        "observation_scaling/offset": np.float32([1, 0]),
        "observation_scaling/scale": np.float32([2, 1]),
        "dense_0/kernel": np.float32([[3], [5]]),
        "dense_0/bias": np.float32([7]),
        "head/kernel": np.float32([[1]]),
        "head/bias": np.float32([0]),
    }


def test_by_hand():
    # Middles 3 and 0; standard deviations and half ranges 1 and 4.
    scaled = observation_scaling.scale_features(_by_hand(), np.float32([[2, -4], [4, 4]]))
    np.testing.assert_array_equal(scaled["observation_scaling/offset"], [3, 0])
    np.testing.assert_array_equal(scaled["observation_scaling/scale"], [1, 0.25])
    np.testing.assert_array_equal(scaled["dense_0/kernel"], [[6], [20]])
    np.testing.assert_array_equal(scaled["dense_0/bias"], [19])  # 7 + (3 - 1) * 2 * 3
    np.testing.assert_array_equal(scaled["head/kernel"], [[1]])
    assert list(scaled) == list(_by_hand())


@pytest.mark.parametrize(("range_share", "unit"), [(0, 2), (1, 8), (0.5, 4), (0.75, 2**2.5)])
def test_unit_lies_between_standard_deviation_and_half_range(range_share: float, unit: float):
    # One of 32 is 8 and one -8: the standard deviation is the root of 2 * 64 / 32, half the range is 8.
    observations = np.zeros((32, 2), np.float32)
    observations[0], observations[1] = 8, -8
    scaled = observation_scaling.scale_features(_by_hand(), 1 + observations, range_share)
    np.testing.assert_allclose(scaled["observation_scaling/scale"], [1 / unit] * 2, rtol=1e-6)
    np.testing.assert_array_equal(scaled["observation_scaling/offset"], [1, 1])


@pytest.mark.parametrize(
    ("observations", "scale"),
    [([[0, 5], [8, 5]], [0.25, 0.25]), ([[0, 5], [8, 5.0000005]], [0.25, 0.25]), ([[3, 5]], [1, 1])],
    ids=["constant feature", "nearly constant feature", "single observation"],
)
def test_feature_that_does_not_vary_gets_the_largest_unit(observations: list, scale: list):
    scaled = observation_scaling.scale_features(_by_hand(), np.float32(observations))
    np.testing.assert_array_equal(scaled["observation_scaling/scale"], np.float32(scale))


@pytest.mark.parametrize("old_scale", [100, 1e4, 1e8])
def test_weights_of_a_feature_that_does_not_vary_are_no_larger_than_the_largest_others(old_scale: float):
    # The other feature's unit is 1 and its row 2 * 3; the constant one's would be 5 * old_scale by that unit.
    variables = dict(_by_hand(), **{"observation_scaling/scale": np.float32([2, old_scale])})
    scaled = observation_scaling.scale_features(variables, np.float32([[2, 5], [4, 5]]))
    np.testing.assert_allclose(scaled["dense_0/kernel"], [[6], [6]], rtol=1e-6)
    np.testing.assert_allclose(scaled["observation_scaling/scale"], [1, 5 * old_scale / 6], rtol=1e-6)
    np.testing.assert_allclose(scaled["dense_0/bias"], [7 + (3 - 1) * 2 * 3 + 5 * old_scale * 5], rtol=1e-6)


@pytest.mark.parametrize(
    ("observations", "kernel", "scale"),
    [
        ([[0, -1], [8e7, 1]], [1e-7, 1], [1 / 4e7, 1]),
        ([[0, -1e-9], [8, 1e-9]], [1, 1e9], [0.25, 1e9]),
        ([[0, -1], [8e7, 1]], [1, 1], [1 / 4e7, 1 / 4e7]),
        ([[0, -1], [8e7, 1]], [0, 1], [1 / 4e7, 1]),
    ],
    ids=[
        "wide feature",
        "narrow feature",
        "feature that moves nothing beside the other",
        "wide feature without weights",
    ],
)
def test_feature_varies_by_what_it_moves_and_not_by_its_unit(observations: list, kernel: list, scale: list):
    variables = dict(_by_hand(), **{"dense_0/kernel": np.float32(kernel)[:, np.newaxis]})
    variables["observation_scaling/scale"] = np.float32([1, 1])
    scaled = observation_scaling.scale_features(variables, np.float32(observations))
    np.testing.assert_allclose(scaled["observation_scaling/scale"], scale, rtol=1e-6)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(seed=strategies.integers(0, 2**32 - 1), spread=strategies.floats(0, 1.3))
def test_policy_stays_the_same(seed: int, spread: float):
    generator = np.random.default_rng(seed)
    architecture = architecture_lib.PolicyArchitecture(5, (16, 8), 3, "q_values")
    variables = {
        name: generator.standard_normal(s).astype(np.float32) for name, s in architecture.variable_shapes().items()
    }
    units = np.exp(spread * generator.uniform(-2.5, 2.5, 5))
    variables["observation_scaling/scale"] = (1 / units).astype(np.float32)
    observations = (units * generator.standard_normal((40, 5))).astype(np.float32)
    before = numpy_policy.forward(architecture, variables, observations)["output"]
    scaled = observation_scaling.scale_features(variables, observations)
    architecture.check_variables(scaled, "scaled")
    after = numpy_policy.forward(architecture, scaled, observations)["output"]
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * np.abs(before).max())
    x = numpy_policy.forward(architecture, scaled, observations)["scaled_observation"]
    np.testing.assert_allclose(x.min(axis=0), -x.max(axis=0), rtol=1e-3)
    reach = x.max(axis=0) / x.std(axis=0)  # unit = deviation^(1/4) * half_range^(3/4)
    np.testing.assert_allclose(x.max(axis=0), reach**0.25, rtol=1e-3)


@pytest.mark.parametrize("name", ["dense_0/kernel", "observation_scaling/offset"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_value_that_is_not_finite_is_left_for_the_converter_to_name(name: str, value: float):
    variables = _by_hand()
    variables[name] = np.full_like(variables[name], value)
    scaled = observation_scaling.scale_features(variables, np.float32([[2, -4], [4, 4]]))
    for key, array in variables.items():
        assert scaled[key] is array


def test_policy_that_would_overflow_stays_as_it_is():
    variables = dict(_by_hand(), **{"dense_0/kernel": np.float32([[3e38], [1]])})
    scaled = observation_scaling.scale_features(variables, np.float32([[2e30, 0], [4e30, 1]]))
    assert scaled["dense_0/kernel"] is variables["dense_0/kernel"]
