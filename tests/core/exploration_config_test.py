"""Tests of the exploration settings and their schedule."""

import pytest

from tfquarl.core import errors
from tfquarl.core import exploration_config


@pytest.mark.parametrize(
    ("decay_steps", "step", "strength"),
    [(10, 0, 1.0), (10, 5, 0.6), (10, 10, 0.2), (10, 10**9, 0.2), (0, 0, 0.2)],
    ids=["first step", "half way", "end", "long after", "no decay"],
)
def test_strength(decay_steps: int, step: int, strength: float) -> None:
    config = exploration_config.ExplorationConfig("epsilon_greedy", 1.0, 0.2, decay_steps, seed=0)
    assert config.strength(step) == pytest.approx(strength)


@pytest.mark.parametrize(
    ("kind", "start", "end", "decay_steps", "message"),
    [
        ("greedy", 1.0, 0.1, 0, "exploration kind is 'greedy', needs one of epsilon_greedy, gaussian"),
        ("epsilon_greedy", 1.5, 0.1, 0, "needs start and end in .0, 1.0., got 1.5 and 0.1"),
        ("epsilon_greedy", 1.0, -0.1, 0, "got 1.0 and -0.1"),
        ("gaussian", -1.0, 0.1, 0, "got -1.0 and 0.1"),
        ("gaussian", float("nan"), 0.1, 0, "got nan and 0.1"),
        ("gaussian", 0.1, 0.1, -1, "decay_steps is -1, needs 0 or more"),
    ],
)
def test_refuses(kind: str, start: float, end: float, decay_steps: int, message: str) -> None:
    with pytest.raises(errors.ConfigError, match=message):
        exploration_config.ExplorationConfig(kind, start, end, decay_steps, seed=0)


@pytest.mark.parametrize(("kind", "exponent"), [("gaussian", 2.0), ("epsilon_greedy", 1.0), ("epsilon_greedy", -2.0)])
def test_refuses_a_hold_exponent(kind: str, exponent: float) -> None:
    with pytest.raises(errors.ConfigError, match=f"hold_exponent is {exponent} for {kind}"):
        exploration_config.ExplorationConfig(kind, 0.5, 0.5, 0, seed=0, hold_exponent=exponent)


def test_sigma_may_be_larger_than_one() -> None:
    assert exploration_config.ExplorationConfig("gaussian", 2.0, 2.0, 0, seed=0).strength(7) == 2.0
