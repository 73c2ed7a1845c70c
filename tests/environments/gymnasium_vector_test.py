"""Tests of environments/gymnasium_vector.py: CartPole, which gymnasium steps by vector code of its own, and a scripted one."""

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium import vector
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.environments import gymnasium_vector
from tfquarl.environments import registry

CART_POLE = "gymnasium:CartPole-v1"


class _Scripted(vector.VectorEnv):
    """Two environments whose steps are written down as (observation of both, rewards, terminated, truncated)."""

    num_envs = 2
    single_observation_space = spaces.Box(-9, 9, (1,), np.float32)
    single_action_space = spaces.Discrete(2)

    def __init__(
        self,
        *script: tuple[float, list[float], list[bool], list[bool]],
        autoreset: vector.AutoresetMode = vector.AutoresetMode.NEXT_STEP,
    ) -> None:
        self._script, self.metadata = list(script), {"autoreset_mode": autoreset}
        self.seeds: list[int | None] = []

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.seeds.append(seed)
        return np.zeros((2, 1), np.float32), {}

    def step(self, actions: Any) -> Any:
        observation, rewards, terminated, truncated = self._script.pop(0)
        observations = np.full((2, 1), observation, np.float32)
        return observations, np.array(rewards), np.array(terminated), np.array(truncated), {}


def _environment(inner: _Scripted) -> gymnasium_vector.GymnasiumVectorEnvironment:
    return gymnasium_vector.GymnasiumVectorEnvironment("gymnasium:Scripted-v0", inner, seed=3)


def test_its_boundary_is_that_of_the_single_one():
    environment = registry.make_vector(CART_POLE, 3, seed=1)
    assert environment.spec == registry.spec(CART_POLE)
    assert environment.num_environments == 3


def test_it_steps_as_the_single_one_does():
    environment = registry.make_vector(CART_POLE, 4, seed=1)
    single = gymnasium.make(CART_POLE.partition(":")[2]).unwrapped
    observations = environment.reset()
    assert observations.shape == (4, 4) and observations.dtype == np.float32
    actions = np.array([0, 1, 1, 0])
    for _ in range(5):
        step = environment.step(actions)
        for k in range(4):
            single.reset()
            single.state = observations[k].astype(np.float64)
            expected, reward, terminated, _, _ = single.step(int(actions[k]))
            np.testing.assert_allclose(step.observations[k], expected, atol=1e-5)
            assert (step.rewards[k], step.terminated[k], step.begins[k]) == (reward, terminated, False)
        observations, actions = step.observations, 1 - actions


def test_an_episode_begins_in_the_step_after_the_last_ones_end():
    environment = registry.make_vector(CART_POLE, 2, seed=1)
    environment.reset()
    begun = ended = np.zeros(2, bool)
    num_begun = 0
    for _ in range(40):  # pushed to one side, a pole falls within 11 steps
        step = environment.step(np.zeros(2, np.int64))
        begun = step.begins
        assert begun.tolist() == ended.tolist()
        assert (np.abs(step.observations[begun]) <= 0.05).all()
        assert not step.terminated[begun].any() and (step.rewards[begun] == 0).all()
        ended = step.terminated | step.truncated
        num_begun += begun.sum()
    assert num_begun >= 4


def test_both_kinds_of_end_are_told_apart_and_an_episode_begins_after_either():
    no, nobody = False, [False, False]
    environment = _environment(
        _Scripted((1, [1, 1], [no, True], [True, True]), (0, [0, 0], nobody, nobody), (1, [1, 1], nobody, nobody))
    )
    environment.reset()
    steps = [environment.step([0, 0]) for _ in range(3)]
    # What has terminated was not cut off, whatever the time limit says.
    assert [step.terminated.tolist() for step in steps] == [[no, True], nobody, nobody]
    assert [step.truncated.tolist() for step in steps] == [[True, no], nobody, nobody]
    assert [step.begins.tolist() for step in steps] == [nobody, [True, True], nobody]


def test_a_reset_forgets_ends_and_goes_on_with_the_random_numbers():
    nobody = [False, False]
    inner = _Scripted((1, [1, 1], [True, False], nobody), (1, [1, 1], nobody, nobody))
    environment = _environment(inner)
    environment.reset()
    environment.step([0, 0])
    environment.reset()
    assert environment.step([0, 0]).begins.tolist() == nobody
    assert inner.seeds == [3, None]


@pytest.mark.parametrize(
    ("observation", "rewards", "message"),
    [
        pytest.param(np.nan, [1.0, 1.0], "observation", id="observation"),
        pytest.param(0.0, [1.0, np.nan], "reward is nan", id="reward"),
    ],
)
def test_a_number_that_is_not_finite_is_refused(observation: float, rewards: list[float], message: str):
    environment = _environment(_Scripted((observation, rewards, [False, False], [False, False])))
    environment.reset()
    with pytest.raises(errors.NumericalError, match=message):
        environment.step([0, 0])


def test_one_that_begins_episodes_in_the_step_of_the_last_ones_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    inner = _Scripted(autoreset=vector.AutoresetMode.SAME_STEP)
    monkeypatch.setattr(gymnasium, "make_vec", lambda *_, **__: inner)
    with pytest.raises(errors.TaskError, match=r"begins episodes by .*SAME_STEP, needs .*is_vectorized = False"):
        gymnasium_vector.make_vector_task("Scripted-v0", 2, seed=0)


def test_the_same_seed_gives_the_same_episodes():
    first, second, other = (registry.make_vector(CART_POLE, 2, seed).reset().tolist() for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        pytest.param("gymnasium:Acrobot-v1", errors.TaskError, "can't be made as a vector", id="no vector code"),
        pytest.param("gym:CartPole-v1", errors.ConfigError, "steps one environment at a time", id="suite without any"),
        pytest.param("gymnasium:CartPol-v1", errors.ConfigError, "'gymnasium:CartPole-v1'", id="unknown"),
    ],
)
def test_refuses(name: str, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        registry.make_vector(name, 2, seed=0)
