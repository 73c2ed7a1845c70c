"""Tests of runtime.action_selection."""

import numpy as np
import pytest

from tfquarl.core import environment_spec
from tfquarl.runtime import action_selection

_FIELDS = (environment_spec.ObservationField("observation", (1,), 0),)
_DISCRETE = environment_spec.EnvironmentSpec("lab:discrete", _FIELDS, num_actions=3)
_CONTINUOUS = environment_spec.EnvironmentSpec(
    "lab:continuous", _FIELDS, action_low=(-1.0, 0.0), action_high=(1.0, 2.0)
)


def test_discrete_action_is_the_first_of_largest_value():
    actions = action_selection.greedy(np.float32([[0, 2, 1], [5, 5, 1]]), _DISCRETE)
    assert actions.dtype == np.int64
    np.testing.assert_array_equal(actions, [1, 0])


def test_continuous_action_is_clipped_copy():
    outputs = np.float32([[-1.5, 0.5], [0.25, 3]])
    actions = action_selection.greedy(outputs, _CONTINUOUS)
    np.testing.assert_array_equal(actions, np.float32([[-1, 0.5], [0.25, 2]]))
    assert actions.dtype == np.float32
    assert not np.shares_memory(actions, outputs)


@pytest.mark.parametrize("spec", [_DISCRETE, _CONTINUOUS], ids=["discrete", "continuous"])
def test_other_widths_are_refused(spec: environment_spec.EnvironmentSpec):
    with pytest.raises(ValueError, match="outputs have shape"):
        action_selection.greedy(np.zeros((1, 4), np.float32), spec)
