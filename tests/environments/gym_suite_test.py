"""Tests of environments/gym_suite.py."""

import pathlib
from typing import Any

import gym
from gym import spaces
from gym.wrappers import time_limit
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.environments import gym_suite


class _Task(gym.Env):
    """Terminates at step `end`; its observation is a buffer that it writes to again."""

    observation_space: spaces.Space = spaces.Box(-1e6, 1e6, (2,), np.float32)
    action_space: spaces.Space = spaces.Discrete(3, start=5)

    def __init__(self, end: int = 100, reward: Any = 1.0, value: float = 0.0) -> None:
        self._end, self._reward, self._value = end, reward, value
        self._buffer = np.zeros(2, np.float32)
        self.actions = []

    def reset(self, *, seed: int | None = None, return_info: bool = False, options: dict | None = None) -> np.ndarray:
        super().reset(seed=seed)
        self._buffer[:] = 0, self.np_random.uniform()
        return self._buffer

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, dict]:
        self.actions.append(action)
        self._buffer[0] += 1
        self._buffer[1] = self._value
        return self._buffer, self._reward, self._buffer[0] >= self._end, {}


def _wrapped(task: _Task, limit: int | None = None) -> gym_suite.GymEnvironment:
    environment = task if limit is None else time_limit.TimeLimit(task, max_episode_steps=limit)
    return gym_suite.GymEnvironment("gym:task", environment, seed=1)


@pytest.mark.parametrize(
    "end, limit, steps, flags",
    [
        pytest.param(3, None, 3, (True, False), id="terminated"),
        pytest.param(9, 4, 4, (False, True), id="truncated"),
        pytest.param(4, 4, 4, (True, False), id="terminated in the last step allowed"),
    ],
)
def test_termination_and_truncation_are_kept_apart(
    end: int, limit: int | None, steps: int, flags: tuple[bool, bool]
) -> None:
    environment = _wrapped(_Task(end), limit)
    for _ in range(2):  # The second episode starts counting anew.
        environment.reset()
        got = [environment.step(0)[2:] for _ in range(steps)]
        assert got == [(False, False)] * (steps - 1) + [flags]
    assert environment.spec.max_episode_steps == limit


def test_truncation_that_the_task_itself_tells() -> None:
    class Truncating(_Task):
        def step(self, action: Any) -> tuple[np.ndarray, Any, bool, dict]:
            return *super().step(action)[:3], {"TimeLimit.truncated": True}

    environment = _wrapped(Truncating(1))
    environment.reset()
    assert environment.step(0)[2:] == (False, True)


def test_observations_are_not_written_to_again() -> None:
    environment = _wrapped(_Task())
    environment.reset()
    first, *_ = environment.step(0)
    environment.step(0)
    assert first.tolist() == [1, 0]


def test_discrete_actions_start_where_the_space_does() -> None:
    task = _Task()
    environment = _wrapped(task)
    environment.reset()
    environment.step(np.int64(2))
    assert task.actions == [7] and environment.spec.num_actions == 3


def test_seed_decides_the_episodes() -> None:
    environment = _wrapped(_Task())
    first = [environment.reset().tolist() for _ in range(3)]
    environment.seed(1)
    again = [environment.reset().tolist() for _ in range(3)]
    environment.seed(2)
    assert first == again
    assert first[0] != first[1] != environment.reset().tolist()


def test_an_environment_of_the_older_api_is_seeded_by_its_method() -> None:
    class Older(_Task):
        def seed(self, seed: int | None = None) -> None:
            self.actions.append(("seed", seed))

        def reset(self) -> np.ndarray:
            return np.zeros(2)

    task = Older()
    environment = _wrapped(task)
    environment.reset()
    environment.reset()
    assert task.actions == [("seed", 1)]


@pytest.mark.parametrize(
    "task, match",
    [
        pytest.param(_Task(reward=float("nan")), "reward is nan", id="reward"),
        pytest.param(_Task(value=float("inf")), r"'observation'\[1\] is inf", id="observation"),
    ],
)
def test_what_is_not_finite_is_stopped(task: _Task, match: str) -> None:
    environment = _wrapped(task)
    environment.reset()
    with pytest.raises(errors.NumericalError, match=f"gym:task.*{match}"):
        environment.step(0)


def test_dictionary_observations_take_the_order_of_their_space() -> None:
    class Dictionary(_Task):
        observation_space = spaces.Dict({"b": spaces.Box(-1, 1, (2,)), "a": spaces.Box(-1, 1, (1, 1))})

        def reset(self, **kwargs: Any) -> dict:
            return {"b": np.array([0.2, 0.3]), "a": np.array([[0.1]])}

    environment = _wrapped(Dictionary())
    names = [(field.name, field.shape) for field in environment.spec.observation_fields]
    assert names == [("a", (1, 1)), ("b", (2,))]  # gym sorts them.
    np.testing.assert_allclose(environment.reset(), [0.1, 0.2, 0.3])


def test_continuous_actions_take_the_shape_of_their_space() -> None:
    class Continuous(_Task):
        action_space = spaces.Box(-2, 2, (2, 1), np.float64)

    task = Continuous()
    environment = _wrapped(task)
    environment.reset()
    environment.step(np.array([1, 2], np.float32))
    assert environment.spec.action_high == (2.0, 2.0)
    assert task.actions[0].dtype == np.float64 and task.actions[0].tolist() == [[1], [2]]


@pytest.mark.parametrize(
    "space, value",
    [
        pytest.param("observation_space", spaces.Box(0, 255, (84, 84, 3), np.uint8), id="picture"),
        pytest.param("observation_space", spaces.Discrete(4), id="discrete observation"),
        pytest.param("observation_space", spaces.Tuple([spaces.Box(0, 1, (2,))]), id="tuple"),
        pytest.param("observation_space", spaces.Dict({"a": spaces.Dict({})}), id="nested dictionary"),
        pytest.param("action_space", spaces.MultiDiscrete([2, 2]), id="several discrete actions"),
        pytest.param("action_space", spaces.Box(-np.inf, np.inf, (2,)), id="unbounded actions"),
    ],
)
def test_unfit_spaces_are_refused_with_what_fits(space: str, value: spaces.Space) -> None:
    with pytest.raises(errors.TaskError, match=r"gym:task.*vectors of numbers"):
        _wrapped(type("Unfit", (_Task,), {space: value})())


def test_a_module_in_front_is_imported_and_registers_its_tasks(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_gym_of_mine.py").write_text(
        "import gym\n"
        "from gym.envs.classic_control import cartpole\n"
        "gym.register('MyPole-v0', entry_point=cartpole.CartPoleEnv, max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        environment = gym_suite.make_task("a_gym_of_mine:MyPole-v0", seed=1)
        assert environment.spec.name == "gym:a_gym_of_mine:MyPole-v0"
        assert environment.spec.max_episode_steps == 7
    finally:
        gym.envs.registration.registry.env_specs.pop("MyPole-v0", None)


@pytest.mark.parametrize(
    ("task", "reason"),
    [("Nowhere-v0", "NameNotFound"), ("nowhere:Task-v0", "ModuleNotFoundError")],
    ids=["id", "module"],
)
def test_a_task_that_cannot_be_made_names_the_reason(task: str, reason: str) -> None:
    with pytest.raises(errors.TaskError, match=f"gym:{task}.*{reason}"):
        gym_suite.make_task(task, seed=1)


def test_cartpole_steps_as_gym_does() -> None:
    environment, bare = gym_suite.make_task("CartPole-v1", seed=3), gym.make("CartPole-v1")
    np.testing.assert_array_equal(environment.reset(), bare.reset(seed=3))
    for step in range(100):
        observation, reward, done, _ = bare.step(step % 2)
        got, *rest = environment.step(step % 2)
        np.testing.assert_array_equal(got, observation)
        assert rest == [reward, done, False]
        if done:
            np.testing.assert_array_equal(environment.reset(), bare.reset())


def test_cartpole_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    environment = gym_suite.make_task("CartPole-v1", seed=3)
    environment.reset()
    assert environment.render().shape == (400, 600, 3)
    environment.close()


def test_what_cannot_be_drawn_says_so() -> None:
    with pytest.raises(errors.TaskError, match=r"gym:task: can't be drawn: \w+: .+"):
        _wrapped(_Task()).render()
