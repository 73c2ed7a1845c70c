"""Tests of environments/gymnasium_suite.py."""

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium import wrappers
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.environments import gymnasium_suite


class _Task(gymnasium.Env):
    """Ends at step `end` in the way that `flags` says."""

    observation_space = spaces.Box(-1e6, 1e6, (1,), np.float32)
    action_space = spaces.Box(-1.0, 2.0, (2,), np.float32)

    def __init__(self, end: int = 100, flags: tuple[bool, bool] = (True, False), reward: float = 1.0) -> None:
        self._end, self._flags, self._reward = end, flags, reward
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self._steps = 0
        return self.np_random.uniform(size=1), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self._steps += 1
        flags = self._flags if self._steps >= self._end else (False, False)
        return np.array([self._steps]), self._reward, *flags, {}


def _wrapped(task: _Task, limit: int | None = None) -> gymnasium_suite.GymnasiumEnvironment:
    environment = task if limit is None else wrappers.TimeLimit(task, max_episode_steps=limit)
    return gymnasium_suite.GymnasiumEnvironment("gymnasium:task", environment, seed=1)


@pytest.mark.parametrize(
    "task, limit, steps, flags",
    [
        pytest.param(_Task(3), None, 3, (True, False), id="terminated"),
        pytest.param(_Task(3, (False, True)), None, 3, (False, True), id="truncated by the task"),
        pytest.param(_Task(9), 4, 4, (False, True), id="truncated by the limit"),
        pytest.param(_Task(4), 4, 4, (True, False), id="terminated in the last step allowed"),
    ],
)
def test_termination_and_truncation_are_kept_apart(
    task: _Task, limit: int | None, steps: int, flags: tuple[bool, bool]
) -> None:
    environment = _wrapped(task, limit)
    for _ in range(2):
        environment.reset()
        got = [environment.step(np.zeros(2))[2:] for _ in range(steps)]
        assert got == [(False, False)] * (steps - 1) + [flags]


def test_seed_decides_the_episodes() -> None:
    environment = _wrapped(_Task())
    first = [environment.reset().tolist() for _ in range(3)]
    environment.seed(1)
    assert first == [environment.reset().tolist() for _ in range(3)]
    assert first[0] != first[1]


def test_pendulum_steps_as_gymnasium_does() -> None:
    environment, bare = gymnasium_suite.make_task("Pendulum-v1", seed=3), gymnasium.make("Pendulum-v1")
    assert environment.spec.action_low == (-2.0,)
    np.testing.assert_array_equal(environment.reset(), bare.reset(seed=3)[0])
    action = np.array([0.5], np.float32)
    for _ in range(200):
        observation, reward, terminated, truncated, _ = bare.step(action)
        got, *rest = environment.step(action)
        np.testing.assert_array_equal(got, observation)
        assert rest == [reward, terminated, truncated]
    assert rest[2]


def test_nan_reward_is_stopped() -> None:
    environment = _wrapped(_Task(reward=float("nan")))
    environment.reset()
    with pytest.raises(errors.NumericalError, match=r"gymnasium:task.*reward is nan"):
        environment.step(np.zeros(2))


def test_unfit_spaces_are_refused() -> None:
    with pytest.raises(errors.TaskError, match=r"gymnasium:FrozenLake-v1.*Discrete\(16\)"):
        gymnasium_suite.make_task("FrozenLake-v1", seed=1)


def test_pictures_must_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    environment = gymnasium_suite.make_task("CartPole-v1", seed=1, can_render=True)
    environment.reset()
    assert environment.render().shape == (400, 600, 3)
    environment.close()
    with pytest.raises(errors.TaskError, match="can_render=True"):
        gymnasium_suite.make_task("CartPole-v1", seed=1).render()


def test_a_constructor_needs_no_render_mode() -> None:
    gymnasium.register("tfquarl/NoPictures-v0", entry_point=_Task)
    try:
        assert gymnasium_suite.make_task("tfquarl/NoPictures-v0", seed=1).spec.observation_size == 1
    finally:
        del gymnasium.registry["tfquarl/NoPictures-v0"]


def test_an_environment_may_keep_and_change_its_actions() -> None:
    class Smoothing(_Task):
        def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
            action *= 0.5
            return super().step(action)

    environment, action = _wrapped(Smoothing()), np.float32([1, 2])
    environment.reset()
    environment.step(action)
    assert action.tolist() == [1, 2]


def test_a_task_that_cannot_be_made_names_the_reason() -> None:
    with pytest.raises(errors.TaskError, match="gymnasium:nowhere:Task-v0"):
        gymnasium_suite.make_task("nowhere:Task-v0", seed=1)
