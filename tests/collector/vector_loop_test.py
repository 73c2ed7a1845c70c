"""Tests of collector/vector_loop.py, by tapes of what its sinks saw."""

import threading
from typing import Any

import numpy as np
import pytest

from tfquarl.collector import config as config_lib
from tfquarl.collector import policy_slot
from tfquarl.collector import vector_loop
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.testing import collector_fakes
from tfquarl.testing import memory_metrics
from tfquarl.testing import scripted_environment

Script = list[list[tuple[float, str]]]


class _VectorOf:
    """Scripted environments behind one call; an episode begins in the step after the last one's end. NaN rewards are refused."""

    def __init__(self, scripts: list[Script]) -> None:
        self._environments = [scripted_environment.ScriptedEnvironment(script) for script in scripts]
        self._ended = [False] * len(scripts)
        self.spec, self.num_environments = self._environments[0].spec, len(scripts)
        self.actions: list[list[int]] = []

    def reset(self) -> np.ndarray:
        self._ended = [False] * self.num_environments
        return np.stack([environment.reset() for environment in self._environments])

    def step(self, actions: list[int] | np.ndarray) -> interfaces.VectorStep:
        self.actions.append(actions.tolist())
        begins = np.array(self._ended)
        steps: list[tuple[Any, ...]] = [
            (environment.reset(), 0.0, False, False) if begin else environment.step(action)
            for environment, begin, action in zip(self._environments, begins, actions)
        ]
        observations, rewards, terminated, truncated = (np.array(part) for part in zip(*steps))
        if np.isnan(rewards).any():
            raise errors.NumericalError("its reward is nan")
        self._ended = (terminated | truncated).tolist()
        return interfaces.VectorStep(observations, rewards, terminated, truncated, begins)

    def close(self) -> None:
        pass


class _Rig:
    """A loop with fakes around it; the action of policy version v is v, the action before there is one is 0."""

    def __init__(
        self, scripts: list[Script], versions: tuple[int, ...] = (), num_sinks: int | None = None, **config: Any
    ):
        self.environment = _VectorOf(scripts)
        self.sinks = [collector_fakes.TapeSink() for _ in range(len(scripts) if num_sinks is None else num_sinks)]
        self.metrics, self.observations = memory_metrics.MemoryMetrics(), collector_fakes.TapeObservations()
        source = collector_fakes.QueuedArtifacts([collector_fakes.artifact(version) for version in versions])
        self.slot = policy_slot.PolicySlot(source, _constant_policy, 0.1, 60.0)
        self.loop = vector_loop.VectorLoop(
            self.environment,
            self.slot,
            lambda outputs: outputs[:, 0].astype(np.int64),
            lambda observations: np.zeros(len(observations), np.int64),
            self.sinks,
            self.observations,
            self.metrics,
            config_lib.CollectorConfig(**{"initial_collect_steps": 0, "report_interval_sec": 1e9, **config}),
        )
        self.stop = threading.Event()


def _constant_policy(artifact: Any) -> interfaces.Policy:
    return lambda observations: np.full((len(observations), 1), artifact.version, np.float32)


def test_sinks_get_the_stories_of_their_environments() -> None:
    rig = _Rig([[[(1.0, ""), (2.0, "terminated")], [(3.0, "")] * 9], [[(4.0, "truncated")], [(5.0, "")] * 9]])
    assert rig.loop.run(8, rig.stop) == 8
    assert rig.sinks[0].tape == [
        ("start", [0, 0]),
        ("add", 0, 1.0, [0, 1], False, False),
        ("add", 0, 2.0, [0, 2], True, False),
        ("start", [1, 0]),
        ("add", 0, 3.0, [1, 1], False, False),
    ]
    assert rig.sinks[1].tape == [
        ("start", [0, 0]),
        ("add", 0, 4.0, [0, 1], False, True),
        ("start", [1, 0]),
        ("add", 0, 5.0, [1, 1], False, False),
        ("add", 0, 5.0, [1, 2], False, False),
    ]
    # The two rounds that began episodes gave nothing to calibrate by.
    assert len(rig.observations.observations) == 6


def test_episodes_are_reported_with_their_own_steps() -> None:
    rig = _Rig([[[(1.0, ""), (2.0, "terminated")]], [[(1.0, "")] * 99]])
    rig.loop.run(12, rig.stop)
    rig.loop.report()
    # Two steps, one that begins, two steps, one that begins.
    assert rig.metrics.series("collect/0", "Metrics/NumberOfEpisodes") == [2]
    assert rig.metrics.series("collect/0", "Metrics/AverageReturn") == [3.0]
    assert rig.metrics.series("collect/0", "Metrics/AverageEpisodeLength") == [2.0]
    assert rig.loop.num_steps == 12


def test_the_newest_policy_acts_from_the_next_check_on() -> None:
    rig = _Rig([[[(1.0, "")] * 100]], versions=(7,), initial_collect_steps=3)
    rig.slot.poll_now()
    rig.loop.run(3, rig.stop)
    rig.loop.run(2, rig.stop)
    assert [actions[0] for actions in rig.environment.actions] == [0, 0, 0, 7, 7]


def test_a_bad_number_breaks_off_all_episodes_and_new_ones_begin() -> None:
    rig = _Rig([[[(1.0, ""), (np.nan, "")], [(2.0, "")] * 9], [[(3.0, "")] * 9, [(4.0, "")] * 9]])
    rig.loop.run(6, rig.stop)
    assert [entry[:3] for entry in rig.sinks[1].tape] == [
        ("start", [0, 0]),
        ("add", 0, 3.0),
        ("start", [1, 0]),
        ("add", 0, 4.0),
    ]
    rig.loop.report()
    assert rig.metrics.series("collect/0", "Metrics/NumberOfBadEpisodes") == [1]


def test_a_bad_number_can_stop_the_run() -> None:
    rig = _Rig([[[(np.nan, "")]]], stop_at_bad_numbers=True)
    with pytest.raises(errors.NumericalError, match="round 1 of all environments: its reward is nan"):
        rig.loop.run(1, rig.stop)


def test_each_environment_needs_a_sink() -> None:
    with pytest.raises(ValueError, match="2 environments and 1 sinks"):
        _Rig([[[(1.0, "")]]] * 2, num_sinks=1)
