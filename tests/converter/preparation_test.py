"""Tests of converter.preparation: which steps, in which units, and that the float policy stays the same function."""

from collections.abc import Sequence
import dataclasses

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import preparation
from tfquarl.core import records
from tfquarl.networks import numpy_policy
from tfquarl.networks import observation_scaling
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.testing import tiny_policies

_ARM = tiny_policies.arm_policy()
_SNAPSHOT = records.PolicySnapshot(3, 30, policies.variables(_ARM.architecture, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        ("static_wi8_ai8", preparation.NAMES),
        ("static_wi8_ai16", preparation.NAMES),
        ("dynamic_wi8_afp32", preparation.NAMES),
        ("float32", ()),
        ("float16", ()),
        ("ptq_wi8_ai8", ()),
    ],
)
def test_steps_of_recipes(recipe: str, steps: Sequence[str]):
    assert preparation.steps_for(recipe_lib.from_name(recipe)) == steps


def test_a_policy_that_is_prepared_again_stays_the_same_function():
    observations = _ARM.observations
    once = preparation.prepare(_ARM.architecture, _SNAPSHOT, observations, preparation.NAMES)
    again = preparation.prepare(_ARM.architecture, once.policy, observations[:100], preparation.NAMES)
    expected, *got = (
        numpy_policy.forward(_ARM.architecture, side.variables, observations)["output"]
        for side in (_SNAPSHOT, once.policy, again.policy)
    )
    for output in got:
        np.testing.assert_allclose(output, expected, atol=1e-4)
    assert (again.preparations, again.corrections) == (preparation.NAMES[:2], preparation.NAMES[2:])


@pytest.mark.parametrize(("range_share", "unit"), [(0.0, 2.0), (1.0, 8.0)])
def test_features_can_be_measured_by_their_spread_or_range(range_share: float, unit: float):
    # A feature that is 8 off its middle in one of sixteen observations, to either side in turn, has deviation sqrt(2 * 64 / 32) = 2.
    features = np.zeros((32, 3), np.float32)
    features[0], features[1] = 8, -8
    made = preparation.prepare(_ARM.architecture, _SNAPSHOT, features, ("scale_observations",), range_share)
    np.testing.assert_allclose(made.rounded.variables[observation_scaling.SCALE], 1 / unit)


def test_a_policy_with_ranges_stays_as_it_is():
    trained = dataclasses.replace(_SNAPSHOT, ranges={"observation": (-1.0, 1.0)})
    made = preparation.prepare(_ARM.architecture, trained, _ARM.observations, preparation.NAMES)
    assert made == preparation.Prepared(trained, trained)
