"""Tests of evaluator/policy_evaluator.py."""

import math
import threading

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.evaluator import config as config_lib
from tfquarl.evaluator import episodes
from tfquarl.evaluator import evaluation
from tfquarl.evaluator import policy_evaluator
from tfquarl.testing import memory_metrics


class _Pairs:
    def __init__(self, *items) -> None:
        self.items = list(items)

    def poll(self):
        item = self.items.pop(0) if self.items else None
        if isinstance(item, Exception):
            raise item
        return item


class _Judge:
    """Knows what each policy earns: (in a first look, on fresh episodes), by its flatbuffer, whose length its episodes have. `tape` has what it was asked."""

    def __init__(self, stop_at: int = -1) -> None:
        self.earns = {b"8": (8.0, 7.0), b"9": (9.0, 6.0), b"7.5": (7.5, 7.5), b"float": (9.5, 9.0)}
        self.tape: list[tuple[bytes, int, int]] = []
        self._stop_at = stop_at

    def estimate(
        self,
        artifact: records.PolicyArtifact,
        num_episodes: int,
        series: int,
        stop: interfaces.StopSignal | None = None,
    ) -> evaluation.ReturnEstimate | None:
        self.tape.append((artifact.model, num_episodes, series))
        if len(self.tape) == self._stop_at:
            return None
        earned = self.earns[artifact.model][min(series, 1)]
        return evaluation.ReturnEstimate.of(
            episodes.EpisodeResults(np.full(num_episodes, earned), np.full(num_episodes, len(artifact.model)))
        )


class _Archive:
    def __init__(self) -> None:
        self.saved: list[tuple[int, bytes, float]] = []

    def save(self, quantized, reference, evaluation) -> None:
        self.saved.append((quantized.version, reference.model, evaluation.quantized.mean_return))


def _pair(version: int, model: bytes) -> tuple[records.PolicyArtifact, records.PolicyArtifact]:
    return (
        records.PolicyArtifact(version, 100 * version, "static_wi8_ai8", model, {}),
        records.PolicyArtifact(version, 100 * version, "float32", b"float", {}),
    )


class _Rig:
    def __init__(self, *items, stop_at: int = -1, time_share: float = 1.0, **earlier) -> None:
        self.judge, self.archive = _Judge(stop_at), _Archive()
        self.metrics = memory_metrics.MemoryMetrics()
        config = config_lib.EvaluatorConfig(
            num_episodes=3, num_confirm_episodes=5, poll_interval_sec=0.001, time_share=time_share
        )
        self.evaluator = policy_evaluator.PolicyEvaluator(
            _Pairs(*items),
            self.judge,  # pyright: ignore[reportArgumentType]
            self.archive,
            self.metrics,
            config,
            **earlier,
        )


def test_one_that_goes_on_keeps_the_bar_and_uses_no_episodes_twice() -> None:
    rig = _Rig(_pair(5, b"7.5"), _pair(6, b"9"), best_return=8.0, newest_version=4)
    verdicts = [rig.evaluator.step() for _ in range(2)]
    assert [verdict.confirmed for verdict in verdicts if verdict is not None] == [False, True]
    assert {series for _, num_episodes, series in rig.judge.tape if num_episodes == 5} == {5}


def test_what_an_earlier_evaluator_judged_is_passed_over() -> None:
    rig = _Rig(_pair(4, b"9"), _pair(5, b"8"), best_return=6.0, newest_version=4)
    assert rig.evaluator.step() is None
    assert not rig.judge.tape
    assert rig.evaluator.step() is not None
    assert [version for version, _, _ in rig.archive.saved] == [5]


def test_the_best_so_far_is_confirmed_on_fresh_episodes_of_both_policies() -> None:
    rig = _Rig(_pair(1, b"8"))
    verdict = rig.evaluator.step()
    assert verdict is not None and verdict.confirmed
    assert (verdict.version, verdict.train_step, verdict.recipe) == (1, 100, "static_wi8_ai8")
    assert (verdict.quantized.mean_return, verdict.quantized.episodes, verdict.float32.mean_return) == (7.0, 5, 9.0)
    assert (verdict.quantized_bytes, verdict.float32_bytes) == (len(b"8"), len(b"float"))
    assert rig.judge.tape == [(b"8", 3, 0), (b"float", 3, 0), (b"8", 5, 1), (b"float", 5, 1)]
    assert rig.evaluator.step() is None


def test_what_is_best_goes_by_confirmed_returns_alone() -> None:
    """A lucky first look costs a confirmation and does not raise the bar."""
    rig = _Rig(_pair(1, b"8"), _pair(2, b"9"), _pair(3, b"7.5"), _pair(4, b"7.5"))
    verdicts = [rig.evaluator.step() for _ in range(4)]
    got = [(verdict.confirmed, verdict.quantized.mean_return) for verdict in verdicts if verdict is not None]
    assert got == [(True, 7.0), (True, 6.0), (True, 7.5), (False, 7.5)]
    fresh = [series for _, num_episodes, series in rig.judge.tape if num_episodes == 5]
    assert fresh == [1, 1, 2, 2, 3, 3]  # never the same episodes twice


@pytest.mark.parametrize(
    ("policies", "earlier", "confirmed"),
    [
        pytest.param([(3, 7), (5, 8)], {}, [True, True], id="shared episodes are hard: looks are compared with the best's look"),
        pytest.param([(3, 7), (3, 8)], {}, [True, False], id="one that looks the same is not better"),
        pytest.param([(9, 7), (8, 8)], {}, [True, True], id="a lucky look of the best raises no bar"),
        pytest.param([(9, 7), (7, 8)], {}, [True, False], id="shared episodes are easy: the best's mean is beaten too"),
        pytest.param([(3, 7), (5, 6), (4, 8)], {}, [True] * 3, id="one that is not the best leaves the bar"),
        pytest.param([(3, 7), (5, 8), (4, 9)], {}, [True, True, False], id="the new best brings its own look"),
        pytest.param([(3, 7), (5, 7), (4, 9)], {}, [True, True, False], id="of equal ones the newer is the best, as it is kept"),
        pytest.param([(5, 8)], {"best_return": 7.0, "best_look": 3.0}, [True], id="going on"),
        pytest.param([(5, 8)], {"best_return": 7.0}, [False], id="going on from one whose look is not known"),
    ],
)  # fmt: skip
def test_which_first_looks_are_confirmed(
    policies: list[tuple[float, float]], earlier: dict[str, float], confirmed: list[bool]
) -> None:
    """Each policy is (mean return of its first look, that of fresh episodes)."""
    rig = _Rig(*(_pair(version, b"%d" % version) for version in range(11, 11 + len(policies))), **earlier)
    rig.judge.earns.update((b"%d" % version, earned) for version, earned in enumerate(policies, 11))
    verdicts = [rig.evaluator.step() for _ in policies]
    assert [verdict.confirmed for verdict in verdicts if verdict is not None] == confirmed
    assert [verdict.first_look for verdict in verdicts if verdict is not None] == [look for look, _ in policies]


def test_verdicts_are_reported_and_kept() -> None:
    rig = _Rig(_pair(1, b"8"), _pair(2, b"7.5"))
    rig.evaluator.step()
    rig.evaluator.step()
    assert rig.archive.saved == [(1, b"float", 7.0), (2, b"float", 7.5)]
    assert rig.metrics.rows[0] == (
        "eval",
        100,
        {
            "Metrics/AverageReturn": 7.0,
            "Metrics/AverageEpisodeLength": 1.0,
            "Metrics/Float32AverageReturn": 9.0,
            "Policy/version": 1,
        },
    )


@pytest.mark.parametrize("error", [errors.ArtifactError("digest"), errors.NumericalError("reward is nan")])
def test_a_policy_that_can_not_be_judged_is_passed_over(error: Exception) -> None:
    rig = _Rig(error, _pair(2, b"8"))
    assert rig.evaluator.step() is None and not rig.archive.saved
    assert rig.evaluator.step() is not None


def test_a_verdict_that_is_broken_off_leaves_no_trace() -> None:
    for stop_at in (1, 2, 3, 4):
        rig = _Rig(_pair(1, b"8"), stop_at=stop_at)
        assert rig.evaluator.step() is None
        assert not rig.archive.saved and not rig.metrics.rows


def test_evaluate_takes_fresh_episodes_and_keeps_nothing() -> None:
    rig = _Rig()
    verdicts = [rig.evaluator.evaluate(_pair(3, b"8"), 20) for _ in range(2)]
    assert [verdict.quantized.episodes for verdict in verdicts if verdict is not None and verdict.confirmed] == [20, 20]
    assert {series for _, _, series in rig.judge.tape} == {1, 2}
    assert not rig.archive.saved and not rig.metrics.rows


def test_run_judges_until_it_is_stopped() -> None:
    rig, stop, versions = _Rig(_pair(1, b"8"), _pair(2, b"9")), threading.Event(), []

    def on_evaluation(verdict: evaluation.Evaluation) -> None:
        versions.append(verdict.version)
        if verdict.version == 2:
            stop.set()

    rig.evaluator.run(stop, on_evaluation)
    assert versions == [1, 2]


class _Waits(threading.Event):
    """A stop signal whose waits are over at once; `waited_sec` has how long they were to be."""

    waited_sec = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_sec += timeout or 0.0
        return self.is_set()


def _verdict_times(time_share: float, trained_at_sec: float = math.inf) -> list[float]:
    """Of two policies that are there from the beginning; each of both series of episodes takes a second."""
    stop, times = _Waits(), []
    rig = _Rig(
        _pair(1, b"8"),
        _pair(2, b"7.5"),
        time_share=time_share,
        clock=lambda: 7.0 + len(rig.judge.tape) / 2 + stop.waited_sec,  # no clock begins with the run
    )

    def on_evaluation(verdict: evaluation.Evaluation) -> None:
        times.append(len(rig.judge.tape) / 2 + stop.waited_sec)
        if verdict.version == 2:
            stop.set()

    rig.evaluator.run(stop, on_evaluation, lambda: stop.waited_sec >= trained_at_sec)
    return times


@pytest.mark.parametrize(
    ("time_share", "pause_sec"),
    [
        pytest.param(1.0, 0.0, id="all of the time"),
        pytest.param(0.5, 2.0, id="a second of pause for each of playing"),
        pytest.param(0.25, 6.0, id="three of them"),
        pytest.param(0.01, 60.0, id="at most a minute"),
    ],
)
def test_a_verdict_is_followed_by_a_pause(time_share: float, pause_sec: float) -> None:
    assert _verdict_times(time_share) == pytest.approx([2.0, 2.0 + pause_sec + 2.0])


@pytest.mark.parametrize(
    ("trained_at_sec", "pause_sec"), [(0.0, 0.0), (1.0, 1.0), (60.0, 6.0)], ids=["before", "in the pause", "later"]
)
def test_the_end_of_training_ends_the_pause(trained_at_sec: float, pause_sec: float) -> None:
    assert _verdict_times(0.25, trained_at_sec) == pytest.approx([2.0, 2.0 + pause_sec + 2.0], abs=0.002)


def test_a_stop_ends_the_pause() -> None:
    stop = _Waits()
    rig = _Rig(_pair(1, b"8"), time_share=0.5, clock=lambda: len(rig.judge.tape) / 2 + stop.waited_sec)
    rig.evaluator.run(stop, lambda verdict: stop.set())
    assert stop.waited_sec == 0.0
