"""Tests of evaluator/episodes.py."""

import threading

import numpy as np
import pytest

from tfquarl.environments import registry
from tfquarl.evaluator import episodes
from tfquarl.testing import scripted_environment

# Episode i lasts i + 1 steps of reward 10^i.
_SCRIPT = [[(10.0**i, "")] * i + [(10.0**i, "terminated")] for i in range(4)]


def _second(observations: np.ndarray) -> np.ndarray:
    """Prefers action 1."""
    return np.tile(np.array([[0.0, 1.0]], np.float32), (len(observations), 1))


@pytest.mark.parametrize("num_environments", [1, 2, 3, 9])
def test_each_seed_is_one_episode_wherever_it_is_played(num_environments: int) -> None:
    environments = [scripted_environment.ScriptedEnvironment(_SCRIPT) for _ in range(num_environments)]
    results = episodes.play(environments, _second, [3, 0, 2, 2, 1])
    assert results is not None
    assert results.returns.tolist() == [4000, 1, 300, 300, 20]
    assert results.lengths.tolist() == [4, 1, 3, 3, 2]


def test_actions_are_greedy() -> None:
    environment = scripted_environment.ScriptedEnvironment(_SCRIPT)
    episodes.play([environment], _second, [1])
    assert environment.tape == [("seed", 1), ("reset",), ("step", 1), ("step", 1)]


def test_continuous_actions_are_clipped() -> None:
    environment = scripted_environment.ScriptedEnvironment([[(1.0, "truncated")]], num_actions=None)
    episodes.play([environment], lambda observations: np.array([[-3.0, 9.0]], np.float32), [0])
    assert environment.tape[-1][1].tolist() == [-1.0, 4.0]


def test_policies_see_the_batch_of_all_environments() -> None:
    batches = []

    def policy(observations: np.ndarray) -> np.ndarray:
        batches.append(observations.tolist())
        return _second(observations)

    environments = [scripted_environment.ScriptedEnvironment(_SCRIPT) for _ in range(2)]
    episodes.play(environments, policy, [0, 1, 2])
    # Environment 0 plays episodes 0 and 2; the place of environment 1 is idle after its only one.
    assert [batch[0] for batch in batches] == [[0, 0], [2, 0], [2, 1], [2, 2]]
    assert [batch[1] for batch in batches][:2] == [[1, 0], [1, 1]]


def test_stop_breaks_it_off() -> None:
    stop = threading.Event()
    endless = scripted_environment.ScriptedEnvironment([[(1.0, "")] * 100])

    def policy(observations: np.ndarray) -> np.ndarray:
        if len(endless.tape) == 10:
            stop.set()
        return _second(observations)

    assert episodes.play([endless], policy, [0], stop) is None
    assert len(endless.tape) == 11


def test_two_policies_meet_the_same_episodes_of_a_real_task() -> None:
    def play(num_environments: int, seeds: list[int]) -> list[float]:
        environments = [registry.make("gym:CartPole-v1", seed=k) for k in range(num_environments)]
        results = episodes.play(environments, _second, seeds)
        assert results is not None
        return results.returns.tolist()

    seeds = list(range(20))
    one = play(1, seeds)
    assert one == play(3, seeds) == play(1, seeds[::-1])[::-1]
    assert len(set(one)) > 1
