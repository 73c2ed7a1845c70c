"""Tests of tfquarl.core.environment_spec."""

import json
from typing import Any

import numpy as np
import pytest

from tfquarl.core import environment_spec

FIELDS = (
    environment_spec.ObservationField("position", (2, 3), 0),
    environment_spec.ObservationField("height", (), 6),
    environment_spec.ObservationField("velocity", (4,), 7),
)


def discrete() -> environment_spec.EnvironmentSpec:
    return environment_spec.EnvironmentSpec("gym:CartPole-v1", FIELDS, num_actions=2, max_episode_steps=500)


def continuous() -> environment_spec.EnvironmentSpec:
    return environment_spec.EnvironmentSpec(
        "dm_control:walker-stand", FIELDS, action_low=(-1.0, -2.0), action_high=(1.0, 0.5)
    )


def test_observation_size_counts_all_fields():
    assert [field.size for field in FIELDS] == [6, 1, 4]
    assert discrete().observation_size == 11


def test_discrete_actions():
    assert discrete().is_discrete and discrete().action_size == 1
    with pytest.raises(ValueError, match="discrete and have no bounds"):
        _ = discrete().action_bounds


def test_continuous_actions():
    spec = continuous()
    low, high = spec.action_bounds
    assert not spec.is_discrete and spec.action_size == 2
    np.testing.assert_array_equal(low, np.float32([-1, -2]))
    np.testing.assert_array_equal(high, np.float32([1, 0.5]))
    assert low.dtype == high.dtype == np.float32


@pytest.mark.parametrize("spec", [discrete(), continuous()], ids=["discrete", "continuous"])
def test_comes_back_from_json(spec: environment_spec.EnvironmentSpec):
    assert environment_spec.EnvironmentSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"observation_fields": FIELDS[1:]}, "starts at 6, needs 0", id="gap before the first field"),
        pytest.param({"observation_fields": (FIELDS[0], FIELDS[2])}, "'velocity' starts at 7, needs 6", id="gap"),
        pytest.param({}, "needs either", id="no actions"),
        pytest.param({"num_actions": 2, "action_low": (0.0,), "action_high": (1.0,)}, "needs either", id="both kinds"),
        pytest.param({"action_low": (0.0,)}, "go together", id="one bound"),
        pytest.param({"action_low": (0.0,), "action_high": (0.0,)}, "low < high", id="empty range"),
        pytest.param({"action_low": (0.0,), "action_high": (float("inf"),)}, "finite", id="infinite bound"),
        pytest.param({"action_low": (float("nan"),), "action_high": (1.0,)}, "finite", id="NaN bound"),
        pytest.param({"action_low": (0.0,), "action_high": (1.0, 1.0)}, "bounds", id="lengths differ"),
    ],
)
def test_refuses(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        environment_spec.EnvironmentSpec(**{"name": "task", "observation_fields": FIELDS, **changes})


@pytest.mark.parametrize("missing", ["name", "observation_fields", "num_actions", "action_low"])
def test_refuses_json_without(missing: str):
    value = discrete().to_json()
    del value[missing]
    with pytest.raises(KeyError, match=missing):
        environment_spec.EnvironmentSpec.from_json(value)
