"""The evaluator: plays the newest policy, quantized and float, and keeps it with its verdict."""

from collections.abc import Callable
import dataclasses
import itertools
import math
import time
from typing import Protocol

from absl import logging

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.evaluator import config as config_lib
from tfquarl.evaluator import evaluation as evaluation_lib
from tfquarl.evaluator import judge as judge_lib
from tfquarl.metrics import names

# Number of the series of episodes that all first looks share, so that they can be compared.
_FIRST_LOOKS = 0
# So that a slow task still has a verdict now and then.
_LONGEST_PAUSE_SEC = 60.0

Pair = tuple[records.PolicyArtifact, records.PolicyArtifact]
"""The quantized policy and the float one of the same snapshot."""


class PairSource(Protocol):
    """Where the newest quantized artifact is found together with the float one of the same snapshot."""

    def poll(self) -> Pair | None:
        """(quantized, float32) if newer than the last ones given, else None. Does not wait.

        Raises:
          ArtifactError: the published bytes do not verify.
        """
        ...


class Archive(Protocol):
    """Keeps policies with their verdicts."""

    def save(
        self,
        quantized: records.PolicyArtifact,
        reference: records.PolicyArtifact,
        evaluation: evaluation_lib.Evaluation,
    ) -> object:
        """Keeps one; called for each policy that was judged."""
        ...


class PolicyEvaluator:
    """Judges policies one after another: a first look, and fresh episodes for one that looks better than the best so far.

    A look is better if it beats the best policy's own first look, which was at the same episodes: where these are hard, all looks are below
    the mean return of fresh ones. It is better too if it beats that mean, so that a lucky look of the best policy raises no bar.
    """

    def __init__(
        self,
        source: PairSource,
        judge: judge_lib.Judge,
        archive: Archive,
        metrics: interfaces.MetricsSink,
        config: config_lib.EvaluatorConfig,
        best_return: float = -math.inf,
        best_look: float = math.inf,
        newest_version: int = 0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Stores its parts.

        Args:
          source: of policies.
          judge: plays them.
          archive: where judged policies are kept.
          metrics: where returns are reported, at the train step of the policy.
          config: settings.
          best_return: highest confirmed mean return of the policies that earlier evaluators of the run judged.
          best_look: mean return of that policy's first look; infinite if it is not known.
          newest_version: of those policies. None is judged again: it would be by a first look, whose return would take the place of a
            confirmed one. And each has had at most one series of fresh episodes, of which none is used again.
          clock: seconds, for tests.
        """
        self._source = source
        self._judge = judge
        self._archive = archive
        self._metrics = metrics
        self._config = config
        self._newest_version = newest_version
        self._fresh_series = itertools.count(_FIRST_LOOKS + 1 + newest_version)
        self._best_return, self._best_look = best_return, best_look
        self._clock = clock

    def run(
        self,
        stop: interfaces.StopSignal,
        on_evaluation: Callable[[evaluation_lib.Evaluation], None] | None = None,
        is_trained: Callable[[], bool] = lambda: False,
    ) -> None:
        """Judges the newest policy again and again.

        Args:
          stop: ends it.
          on_evaluation: gets each verdict.
          is_trained: whether training has ended: there is nobody left to leave the core to then, and the run waits for its last verdict.
        """
        pause_per_sec = 1 / self._config.time_share - 1
        while not stop.is_set():
            start = self._clock()
            verdict = self.step(stop)
            played_sec = self._clock() - start
            if verdict is None:
                stop.wait(self._config.poll_interval_sec)
                continue
            if on_evaluation is not None:
                on_evaluation(verdict)
            self._pause(min(played_sec * pause_per_sec, _LONGEST_PAUSE_SEC), stop, is_trained)

    def _pause(self, pause_sec: float, stop: interfaces.StopSignal, is_trained: Callable[[], bool]) -> None:
        end = self._clock() + pause_sec
        while not (stop.is_set() or is_trained()) and (left_sec := end - self._clock()) > 0:
            stop.wait(min(left_sec, self._config.poll_interval_sec))

    def step(self, stop: interfaces.StopSignal | None = None) -> evaluation_lib.Evaluation | None:
        """Judges the newest policy, reports it and keeps it.

        Returns:
          The verdict; None if there is no newer policy, if an earlier evaluator judged it, if it is damaged or met a NaN or an infinity, or if `stop` broke it off.
        """
        try:
            pair = self._source.poll()
            if pair is not None and pair[0].version <= self._newest_version:
                return None
            verdict = None if pair is None else self._look(pair, stop)
        except (errors.ArtifactError, errors.NumericalError) as error:
            logging.error("a published policy could not be judged: %s", error)
            return None
        if pair is not None and verdict is not None:
            self._report(verdict)
            self._archive.save(*pair, verdict)
        return verdict

    def evaluate(
        self, pair: Pair, num_episodes: int, stop: interfaces.StopSignal | None = None
    ) -> evaluation_lib.Evaluation | None:
        """A verdict on (quantized, float32) over fresh episodes; it is neither reported nor kept. None if `stop` broke it off.

        Raises:
          ArtifactError: an artifact that can't be run.
        """
        return self._play(pair, num_episodes, next(self._fresh_series), stop)

    def _look(self, pair: Pair, stop: interfaces.StopSignal | None) -> evaluation_lib.Evaluation | None:
        first = self._play(pair, self._config.num_episodes, _FIRST_LOOKS, stop)
        if first is None:
            return None
        look = first.quantized.mean_return
        is_better = look > min(self._best_return, self._best_look)
        verdict = self.evaluate(pair, self._config.num_confirm_episodes, stop) if is_better else first
        if verdict is None:
            return None
        if verdict.confirmed and verdict.quantized.mean_return >= self._best_return:
            self._best_return, self._best_look = verdict.quantized.mean_return, look
        return dataclasses.replace(verdict, first_look=look)

    def _play(
        self, pair: Pair, num_episodes: int, series: int, stop: interfaces.StopSignal | None
    ) -> evaluation_lib.Evaluation | None:
        estimates = []
        for artifact in pair:
            estimate = self._judge.estimate(artifact, num_episodes, series, stop)
            if estimate is None:
                return None
            estimates.append(estimate)
        quantized = pair[0]
        return evaluation_lib.Evaluation(
            quantized.version,
            quantized.train_step,
            quantized.recipe,
            *estimates,
            confirmed=series != _FIRST_LOOKS,
            quantized_bytes=len(quantized.model),
            float32_bytes=len(pair[1].model),
        )

    def _report(self, verdict: evaluation_lib.Evaluation) -> None:
        values = {
            names.AVERAGE_RETURN: verdict.quantized.mean_return,
            names.AVERAGE_EPISODE_LENGTH: verdict.quantized.mean_length,
            names.FLOAT32_AVERAGE_RETURN: verdict.float32.mean_return,
            names.POLICY_VERSION: verdict.version,
        }
        self._metrics.write(names.EVAL, verdict.train_step, values)
