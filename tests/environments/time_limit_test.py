"""Tests of environments/time_limit.py."""

import dataclasses

import pytest

from tfquarl.environments import time_limit
from tfquarl.testing import scripted_environment


@pytest.mark.parametrize(
    "endings, flags",
    [
        pytest.param(["", "", ""], [(False, False), (False, True)], id="cut short"),
        pytest.param(["", "terminated"], [(False, False), (True, False)], id="terminated at the limit"),
        pytest.param(["terminated"], [(True, False)], id="terminated before"),
        pytest.param(["truncated"], [(False, True)], id="truncated before"),
    ],
)
def test_an_episode_has_two_steps_at_most(endings, flags):
    inner = scripted_environment.ScriptedEnvironment([[(1.0, ending) for ending in endings]])
    environment = time_limit.TimeLimit(inner, 2)
    for episode in range(2):  # the count begins anew
        assert environment.reset().tolist() == [0, 0], episode
        steps = [environment.step(1) for _ in flags]
        assert [observation.tolist() for observation, *_ in steps] == [[0, n + 1] for n in range(len(flags))]
        assert [tuple(rest) for _, *rest in steps] == [(1.0, *flag) for flag in flags]


@pytest.mark.parametrize("own, expected", [(None, 4), (3, 3), (9, 4)])
def test_the_spec_has_the_shorter_limit(own, expected):
    inner = scripted_environment.ScriptedEnvironment([[(1.0, "")]])
    inner._spec = dataclasses.replace(inner.spec, max_episode_steps=own)
    assert time_limit.TimeLimit(inner, 4).spec.max_episode_steps == expected


def test_a_limit_must_be_positive():
    with pytest.raises(ValueError, match="testing:scripted: max_steps is 0, needs 1 or more"):
        time_limit.TimeLimit(scripted_environment.ScriptedEnvironment([]), 0)
