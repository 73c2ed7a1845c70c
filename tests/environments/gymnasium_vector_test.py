"""Tests of environments/gymnasium_vector.py: CartPole, which gymnasium steps by vector code of its own."""

import gymnasium
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.environments import registry

CART_POLE = "gymnasium:CartPole-v1"


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
