"""Tests of the arms that need no other process: environments, inference, reading memory."""

import gym
import numpy as np

from tfquarl.experiments import environment_arm
from tfquarl.experiments import inference_arm
from tfquarl.experiments import memory_reader


def test_environment_is_reset_where_an_episode_ends():
    log: list[object] = []

    def step(action: int) -> bool:
        log.append(action)
        return action == 2

    arm = environment_arm.EnvironmentArm(step, lambda: log.append("reset"), [0, 1, 2, 3])
    piece = arm.run(0.0)
    assert log == ["reset", 0, 1, 2, "reset", 3]
    assert piece.count == 4


def test_own_and_native_environments_step():
    for make in (environment_arm.make_own, environment_arm.make_native):
        piece = make("gym:CartPole-v1", [0, 1, 1]).run(0.01)
        assert piece.count > 0 and piece.elapsed_sec >= 0.01


def test_a_native_environment_is_imported_from_its_own_module(tmp_path, monkeypatch):
    (tmp_path / "a_gym_for_arms.py").write_text(
        "import gym\n"
        "from gym.envs.classic_control import cartpole\n"
        "gym.register('ArmPole-v0', entry_point=cartpole.CartPoleEnv, max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert environment_arm.make_native("gym:a_gym_for_arms:ArmPole-v0", [0, 1, 1]).run(0.01).count > 0
    finally:
        gym.envs.registration.registry.env_specs.pop("ArmPole-v0", None)


def test_inference_takes_observations_in_turn():
    seen: list[float] = []

    def policy(batch: np.ndarray) -> np.ndarray:
        assert batch.shape == (1, 2) and batch.dtype == np.float32
        seen.append(float(batch[0, 0]))
        return batch * 2

    arm = inference_arm.InferenceArm(policy, np.arange(20.0).reshape(10, 2))
    assert arm.run(0.0).count == 8
    assert arm.run(0.0).count == 2  # the last two, and then from the start again
    assert seen == [2.0 * i for i in range(10)]
    assert arm.outputs(2) == [[0.0, 2.0], [4.0, 6.0]]


def test_memory_is_read():
    piece = memory_reader.MemoryReader(1_000_000).run(0.01)
    assert piece.count > 0
    assert piece.count * 1e6 / piece.elapsed_sec < 1e13  # bytes per second: nothing reads ten terabytes
