"""How the return of a run's policy rose, against environment steps and against wall time, read from metrics.jsonl.

A policy counts from when it was published: how long an evaluator then takes to judge it, and how often it looks, is no part of training.
"""

from collections.abc import Iterable
import dataclasses
import pathlib

import numpy as np

from tfquarl.core import errors
from tfquarl.metrics import jsonl
from tfquarl.metrics import names


@dataclasses.dataclass(frozen=True)
class LearningCurve:
    """One run's evaluations, in the order of publication; all arrays are [N].

    Attributes:
      time_sec: wall time of the run at which the policy was published, start-up included.
      env_steps: environment steps of all collectors at that time, exploration included.
      train_steps: of the policy that was judged.
      returns: its mean return.
    """

    time_sec: np.ndarray
    env_steps: np.ndarray
    train_steps: np.ndarray
    returns: np.ndarray

    def time_to(self, target: float) -> float | None:
        """Seconds until a policy of at least `target` was published; None if it never was."""
        reached = np.flatnonzero(self.returns >= target)
        return float(self.time_sec[reached[0]]) if reached.size else None

    def running_mean(self, count: int) -> "LearningCurve":
        """The mean return of each policy and of the `count` - 1 before it, at the time of each; empty where there are fewer."""
        if len(self.returns) < count:
            means = self.returns[:0]
        else:
            means = np.convolve(self.returns, np.full(count, 1 / count), "valid")
        first = len(self.returns) - len(means)
        return LearningCurve(self.time_sec[first:], self.env_steps[first:], self.train_steps[first:], means)

    def late_return(self, share: float = 0.1) -> float:
        """Mean return of the policies of the last `share` of the train steps: steadier than that of the last one."""
        return float(self.returns[self.train_steps >= (1 - share) * self.train_steps.max()].mean())


def read_learning_curve(metrics_file: pathlib.Path, name: str = names.AVERAGE_RETURN) -> LearningCurve:
    """The learning curve in a metrics.jsonl.

    Args:
      metrics_file: of one run.
      name: which return: `names.AVERAGE_RETURN` of the int8 policy, or `names.FLOAT32_AVERAGE_RETURN`.

    Raises:
      StorageError: the file can't be read.
      ArtifactError: it is damaged, or has no such figure.
    """
    curve = learning_curve(jsonl.read_rows(metrics_file), name)
    if not curve.returns.size:
        raise errors.ArtifactError(
            f"{metrics_file} has no '{name}' of group '{names.EVAL}'; did the run end too early?"
        )
    return curve


def learning_curve(rows: Iterable[jsonl.MetricRow], name: str = names.AVERAGE_RETURN) -> LearningCurve:
    """The learning curve in the rows of one run; empty where it was never evaluated.

    A policy whose publication is not in the rows counts from its verdict.
    """
    env_steps: dict[str, int] = {}
    published: dict[int, tuple[float, int]] = {}  # by train step
    points: list[tuple[float, int, int, float]] = []
    for row in rows:
        now = row.time_sec, sum(env_steps.values())
        if row.group.startswith(f"{names.COLLECT}/"):
            env_steps[row.group] = row.step
        elif row.group == names.CONVERT:
            published[row.step] = now  # a resumed run may come to a train step once more
        elif row.group == names.EVAL and name in row.values:
            points.append((*published.get(row.step, now), row.step, row.values[name]))
    points.sort(key=lambda point: point[0])  # a resumed run may judge an old policy once more
    columns = np.array(points, np.float64).reshape(-1, 4).T
    return LearningCurve(columns[0], columns[1].astype(np.int64), columns[2].astype(np.int64), columns[3])
