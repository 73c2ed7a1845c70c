"""Tests of collector/collection_loop.py, by tapes of what its environments and sinks saw."""

import threading
from typing import Any

import numpy as np
import pytest

from tfquarl.collector import collection_loop
from tfquarl.collector import config as config_lib
from tfquarl.collector import policy_slot
from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.testing import collector_fakes
from tfquarl.testing import memory_metrics
from tfquarl.testing import scripted_environment

_ENDLESS = [[(1.0, "")] * 10_000]


def _random(observations: np.ndarray) -> list[int]:
    return [0] * len(observations)


def _versions(outputs: np.ndarray) -> list[int]:
    """Exploration that takes the policy's version as the action."""
    return [int(version) for version in outputs[:, 0]]


class _Rig:
    """A loop with fakes all around; the action of policy version v is v, the action before there is one is 0."""

    def __init__(
        self,
        scripts: list[list[list[tuple[float, str]]]],
        artifacts=(),
        first_step=0,
        first_episode=0,
        look_clock=None,
        **config: Any,
    ) -> None:
        self.environments = [scripted_environment.ScriptedEnvironment(script) for script in scripts]
        self.sinks = [collector_fakes.TapeSink() for _ in scripts]
        self.observations = collector_fakes.TapeObservations()
        self.metrics = memory_metrics.MemoryMetrics()
        self.batches: list[list[list[float]]] = []
        self.now = self.blocked_sec = 0.0
        self.source = collector_fakes.QueuedArtifacts(artifacts)
        self._wrap()
        self.slot = policy_slot.PolicySlot(self.source, self._make_policy, 0.1, 60.0, self._clock)
        self.loop = collection_loop.CollectionLoop(
            self.environments,
            self.slot,
            _versions,
            _random,
            self.sinks,
            self.observations,
            self.metrics,
            config_lib.CollectorConfig(**{"initial_collect_steps": 0, "report_interval_sec": 1e9, **config}),
            index=3,
            blocked_sec=lambda: self.blocked_sec,
            clock=self._clock,
            look_clock=look_clock,
            first_step=first_step,
            first_episode=first_episode,
        )
        self.stop = threading.Event()

    def _wrap(self) -> None:
        """Nothing stands between the loop and the fakes."""

    def _clock(self) -> float:
        return self.now

    def _make_policy(self, artifact):
        def policy(observations: np.ndarray) -> np.ndarray:
            self.batches.append(observations.tolist())
            return np.full((len(observations), 1), artifact.version, np.float32)

        return policy

    def actions(self, k: int = 0) -> list[int]:
        return [entry[1] for entry in self.sinks[k].tape if entry[0] == "add"]


def test_sinks_get_the_story_of_their_environment() -> None:
    script = [[(1.0, ""), (2.0, "terminated")], [(3.0, "truncated")]]
    rig = _Rig([script])
    assert rig.loop.run(4, rig.stop) == 4
    assert rig.sinks[0].tape == [
        ("start", [0, 0]),
        ("add", 0, 1.0, [0, 1], False, False),
        ("add", 0, 2.0, [0, 2], True, False),
        ("start", [1, 0]),
        ("add", 0, 3.0, [1, 1], False, True),
        ("start", [0, 0]),
        ("add", 0, 1.0, [0, 1], False, False),
    ]


class _Border:
    """An environment and a sink in one that refuse NaN, as the real ones do."""

    def __init__(self, environment, sink) -> None:
        self._environment, self._sink = environment, sink
        self.spec, self.reset, self.start = environment.spec, environment.reset, sink.start

    def step(self, action):
        step = self._environment.step(action)
        if np.isnan(step[1]):
            raise errors.NumericalError("reward is nan")
        return step

    def add(self, action, reward, observation, terminated, truncated):
        if reward == -1.0:
            raise errors.NumericalError("action is nan")
        self._sink.add(action, reward, observation, terminated, truncated)


class _GuardedRig(_Rig):
    def _wrap(self) -> None:
        borders = [_Border(*pair) for pair in zip(self.environments, self.sinks)]
        self.environments = self.sinks = borders


@pytest.mark.parametrize("reward", [np.nan, -1.0], ids=["at the environment", "at the replay"])
def test_an_episode_with_a_bad_number_is_broken_off_and_the_others_go_on(reward: float) -> None:
    rig = _GuardedRig([[[(1.0, ""), (reward, "")], [(2.0, "terminated")]], [[(3.0, "")] * 10]])
    tapes = [border._sink.tape for border in rig.sinks]
    rig.loop.run(8, rig.stop)
    assert tapes[0] == [
        ("start", [0, 0]),
        ("add", 0, 1.0, [0, 1], False, False),
        ("start", [1, 0]),
        ("add", 0, 2.0, [1, 1], True, False),
        ("start", [0, 0]),
        ("add", 0, 1.0, [0, 1], False, False),
    ]
    assert [entry[2] for entry in tapes[1][1:]] == [3.0] * 4
    rig.loop.report()
    assert rig.metrics.series("collect/3", "Metrics/NumberOfBadEpisodes") == [1]
    assert rig.metrics.series("collect/3", "Metrics/NumberOfEpisodes") == [1]


def test_a_bad_number_can_stop_the_run() -> None:
    rig = _GuardedRig([[[(1.0, ""), (np.nan, "")]]], stop_at_bad_numbers=True)
    with pytest.raises(errors.NumericalError, match="environment 0, step 2 of its episode: reward is nan"):
        rig.loop.run(8, rig.stop)


@pytest.mark.parametrize(
    ("script", "num_steps"),
    [
        pytest.param([[(np.nan, "")]], 3, id="always"),
        pytest.param(
            [[(np.nan, "")], [(1.0, "terminated")]] + [[(np.nan, "")]] * 3, 5, id="whole episodes between do count"
        ),
    ],
)
def test_bad_episodes_in_a_row_end_the_run(script: list[list[tuple[float, str]]], num_steps: int) -> None:
    rig = _GuardedRig([script], max_bad_episodes=3)
    rig.loop.run(num_steps - 1, rig.stop)
    with pytest.raises(
        errors.NumericalError, match="3 episodes in a row were broken off, the last one in environment 0, step 1"
    ):
        rig.loop.run(1, rig.stop)


def test_discrete_actions_are_python_ints() -> None:
    rig = _Rig([_ENDLESS])
    rig.loop.run(1, rig.stop)
    assert type(rig.actions()[0]) is int


def test_calls_of_run_go_on_amid_the_episode() -> None:
    script = [[(1.0, ""), (2.0, ""), (3.0, "terminated")]]
    whole, parts = _Rig([script]), _Rig([script])
    whole.loop.run(10, whole.stop)
    assert [parts.loop.run(1, parts.stop) for _ in range(10)] == [1] * 10
    assert whole.sinks[0].tape == parts.sinks[0].tape
    assert whole.loop.num_steps == parts.loop.num_steps == 10


def test_a_newer_policy_is_used_from_the_next_episode_on() -> None:
    artifacts = [collector_fakes.artifact(version) for version in (5, 6, 7)]
    rig = _Rig([[[(0.0, ""), (0.0, ""), (0.0, "terminated")]]], artifacts)
    rig.loop.run(1, rig.stop)
    rig.slot.poll_now()
    rig.loop.run(3, rig.stop)
    rig.slot.poll_now()
    rig.slot.poll_now()
    rig.loop.run(5, rig.stop)
    assert rig.actions() == [0, 0, 0, 5, 5, 5, 7, 7, 7]


def test_a_long_episode_does_not_go_on_with_an_old_policy() -> None:
    rig = _Rig([_ENDLESS], [collector_fakes.artifact(version) for version in (5, 6)])
    rig.slot.poll_now()
    rig.loop.run(2, rig.stop)
    rig.slot.poll_now()
    rig.loop.run(2, rig.stop)
    rig.loop.run(1, rig.stop)
    assert rig.actions() == [5, 5, 5, 5, 6]


def test_random_actions_until_the_initial_steps_are_done_and_the_episode_ends() -> None:
    rig = _Rig([[[(0.0, ""), (0.0, ""), (0.0, "terminated")]]], [collector_fakes.artifact(5)], initial_collect_steps=4)
    rig.slot.poll_now()
    rig.loop.run(9, rig.stop)
    assert rig.actions() == [0] * 6 + [5] * 3


def test_without_initial_steps_a_policy_that_is_there_is_used_at_once() -> None:
    rig = _Rig([_ENDLESS], [collector_fakes.artifact(5)])
    rig.slot.poll_now()
    rig.loop.run(2, rig.stop)
    assert rig.actions() == [5, 5]


def test_environments_share_one_inference_and_keep_their_own_episodes() -> None:
    long, short = [[(1.0, ""), (1.0, ""), (1.0, "terminated")]], [[(2.0, ""), (2.0, "truncated")]]
    rig = _Rig([long, short], [collector_fakes.artifact(5)])
    rig.slot.poll_now()
    assert rig.loop.run(7, rig.stop) == 8  # a multiple of 2
    # [episode, step] of each environment: short ones begin anew after 2 steps, long ones after 3.
    assert rig.batches == [[[0, 0], [0, 0]], [[0, 1], [0, 1]], [[0, 2], [0, 0]], [[0, 0], [0, 1]]]
    assert [entry[0] for entry in rig.sinks[0].tape] == ["start", "add", "add", "add", "start", "add"]
    assert [entry[0] for entry in rig.sinks[1].tape] == ["start", "add", "add", "start", "add", "add", "start"]
    assert rig.sinks[1].tape[2] == ("add", 5, 2.0, [0, 2], False, True)


def test_a_swap_at_one_environments_end_serves_the_others_too() -> None:
    rig = _Rig([_ENDLESS, [[(0.0, ""), (0.0, "terminated")]]], [collector_fakes.artifact(5)])
    rig.loop.run(2, rig.stop)
    rig.slot.poll_now()
    rig.loop.run(4, rig.stop)
    assert rig.actions(0) == rig.actions(1) == [0, 0, 5]


def test_continuous_actions_are_rows_that_stay_as_they_were() -> None:
    environment = scripted_environment.ScriptedEnvironment(_ENDLESS, num_actions=None)
    sink = collector_fakes.TapeSink()
    numbers = iter(range(100))

    def explore(observations: np.ndarray) -> np.ndarray:
        return np.full((len(observations), 2), next(numbers), np.float32)

    rig = _Rig([_ENDLESS])
    loop = collection_loop.CollectionLoop(
        [environment], rig.slot, _versions, explore, [sink], rig.observations, rig.metrics, config_lib.CollectorConfig()
    )
    loop.run(3, rig.stop)
    assert [entry[1].tolist() for entry in sink.tape[1:]] == [[0, 0], [1, 1], [2, 2]]


def test_calibration_is_offered_every_observation_that_a_step_leads_to() -> None:
    rig = _Rig([[[(0.0, ""), (0.0, "terminated")]], _ENDLESS])
    rig.loop.run(2 * 3, rig.stop)
    got = [observation.tolist() for observation in rig.observations.observations]
    assert got == [[0, 1], [0, 1], [0, 2], [0, 2], [0, 1], [0, 3]]


def test_stop_ends_a_run_within_a_few_steps() -> None:
    rig = _Rig([_ENDLESS])
    rig.stop.set()
    assert rig.loop.run(1000, rig.stop) == 0

    def explore(observations: np.ndarray) -> list[int]:
        rig.stop.set()
        return _random(observations)

    rig.stop.clear()
    loop = collection_loop.CollectionLoop(
        rig.environments,
        rig.slot,
        _versions,
        explore,
        rig.sinks,
        rig.observations,
        rig.metrics,
        config_lib.CollectorConfig(),
    )
    assert 0 < loop.run(1000, rig.stop) < 100


def test_an_environments_error_passes_through() -> None:
    rig = _Rig([[[(1.0, "")]]])  # The script ends without an end.
    with pytest.raises(IndexError):
        rig.loop.run(2, rig.stop)


@pytest.mark.parametrize(
    ("num_environments", "num_sinks", "message"), [(2, 1, "2 environments and 1 sinks"), (0, 0, "got 0 environments")]
)
def test_each_environment_needs_a_sink(num_environments: int, num_sinks: int, message: str) -> None:
    rig = _Rig([_ENDLESS] * 2)
    with pytest.raises(ValueError, match=message):
        collection_loop.CollectionLoop(
            rig.environments[:num_environments],
            rig.slot,
            _versions,
            _random,
            rig.sinks[:num_sinks],
            rig.observations,
            rig.metrics,
            config_lib.CollectorConfig(),
        )


def test_environments_of_one_collector_are_alike() -> None:
    rig = _Rig([_ENDLESS])
    other = scripted_environment.ScriptedEnvironment(_ENDLESS, num_actions=3)
    with pytest.raises(ValueError, match="equal specs"):
        collection_loop.CollectionLoop(
            [*rig.environments, other],
            rig.slot,
            _versions,
            _random,
            rig.sinks * 2,
            rig.observations,
            rig.metrics,
            config_lib.CollectorConfig(),
        )


class _SlowRig(_Rig):
    """Steps take `step_sec` each, and after `stop_after` of them it is told to stop."""

    step_sec, stop_after, paused_at = 0.0, 0, 0

    def _wrap(self) -> None:
        self.num_steps, environment = 0, self.environments[0]
        step = environment.step

        def slow_step(action):
            self.num_steps += 1
            self.now += 30.0 if self.num_steps == self.paused_at else self.step_sec
            if self.num_steps == self.stop_after:
                self.stop.set()
            return step(action)

        environment.step = slow_step


@pytest.mark.parametrize(
    ("step_sec", "most_further_steps"), [(0.4, 0), (0.15, 1), (0.001, 31)], ids=["slow", "middling", "fast"]
)
def test_a_slow_environment_is_stopped_soon(step_sec: float, most_further_steps: int) -> None:
    for stop_after in range(100, 132):
        rig = _SlowRig([_ENDLESS])
        rig.step_sec, rig.stop_after = step_sec, stop_after
        rig.loop.run(10_000, rig.stop)
        assert stop_after <= rig.num_steps <= stop_after + most_further_steps


@pytest.mark.parametrize("paused_at", [0, 64, 97], ids=["never", "before", "later"])
def test_by_a_constant_clock_a_pause_changes_nothing(paused_at: int) -> None:
    rig = _SlowRig([_ENDLESS], [collector_fakes.artifact(5)], look_clock=float)
    rig.paused_at = paused_at
    rig.loop.run(64, rig.stop)  # looks after 1, 3, 7, 15, 31 and 63 steps, then every 32
    rig.slot.poll_now()
    rig.loop.run(64, rig.stop)
    assert rig.actions() == [0] * 96 + [5] * 32


def test_reports_come_by_the_clock_and_on_demand() -> None:
    script = [[(1.0, ""), (2.0, "terminated")], [(5.0, "truncated")]]
    rig = _Rig([script], [collector_fakes.artifact(5)], report_interval_sec=4.0)
    rig.slot.poll_now()
    rig.loop.run(3, rig.stop)
    assert rig.metrics.rows == []
    rig.now = 4.0
    rig.blocked_sec = 1.0
    rig.loop.run(1, rig.stop)
    assert rig.metrics.rows == [
        (
            "collect/3",
            4,
            {
                "Metrics/EnvironmentSteps": 4,
                "Metrics/NumberOfEpisodes": 2,
                "Metrics/AverageReturn": 4.0,
                "Metrics/AverageEpisodeLength": 1.5,
                "RunTime/env_steps_per_sec": 1.0,
                "RunTime/rate_limiter_blocked_share": 0.25,
                "Policy/version": 5,
                "Policy/age_sec": 4.0,
                "Policy/longest_age_sec": 4.0,
                "Policy/num_refused": 0,
                "Metrics/NumberOfBadEpisodes": 0,
                "RunTime/step_sec": 3.0,
                "RunTime/pull_sec": 0.0,
                "RunTime/load_sec": 0.0,
            },
        )
    ]
    rig.loop.report()
    assert len(rig.metrics.rows) == 2


def test_a_loop_that_goes_on_counts_on_and_needs_no_random_steps() -> None:
    artifact = records.PolicyArtifact(5, 0, "float32", b"", {})
    rig = _Rig([_ENDLESS, _ENDLESS], [artifact], first_step=101, first_episode=7, initial_collect_steps=50)
    rig.slot.poll_now()
    assert rig.loop.num_steps == 102  # never back, by whole rounds
    rig.now = 2.0
    rig.loop.run(4, rig.stop)
    rig.loop.report()
    assert rig.actions() == [5, 5]
    ((_, step, values),) = rig.metrics.rows
    assert (step, values["Metrics/EnvironmentSteps"], values["Metrics/NumberOfEpisodes"]) == (106, 106, 7)
    assert values["RunTime/env_steps_per_sec"] == pytest.approx(4 / 2.0)
