"""Tests of environments/action_repeat.py."""

import pytest

from tfquarl.environments import action_repeat
from tfquarl.testing import scripted_environment


@pytest.mark.parametrize(
    "ending, flags",
    [
        pytest.param("terminated", (True, False), id="termination"),
        pytest.param("truncated", (False, True), id="truncation"),
    ],
)
def test_rewards_are_summed_and_an_episode_end_ends_the_step(ending: str, flags: tuple[bool, bool]) -> None:
    inner = scripted_environment.ScriptedEnvironment([[(1.0, ""), (2.0, ""), (4.0, ""), (8.0, ""), (16.0, ending)]])
    environment = action_repeat.ActionRepeat(inner, 3)
    assert environment.reset().tolist() == [0, 0]
    observation, *rest = environment.step(1)
    assert (observation.tolist(), *rest) == ([0, 3], 7.0, False, False)
    observation, *rest = environment.step(0)
    assert (observation.tolist(), *rest) == ([0, 5], 24.0, *flags)
    assert inner.tape == [("reset",), *[("step", 1)] * 3, *[("step", 0)] * 2]


def test_all_else_goes_to_the_other_environment() -> None:
    inner = scripted_environment.ScriptedEnvironment([[(1.0, "terminated")]])
    environment = action_repeat.ActionRepeat(inner, 2)
    environment.seed(5)
    assert environment.render().shape == (32, 48, 3)
    environment.close()
    assert inner.tape == [("seed", 5), ("close",)]
    assert environment.spec.max_episode_steps is None
    assert environment.spec.action_repeat == 2


def test_repeat_must_be_positive() -> None:
    with pytest.raises(ValueError, match="repeat is 0"):
        action_repeat.ActionRepeat(scripted_environment.ScriptedEnvironment([]), 0)
