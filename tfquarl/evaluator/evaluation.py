"""The verdict on a policy, as values."""

import dataclasses
from typing import Any

from tfquarl.evaluator import episodes as episodes_lib
from tfquarl.metrics import statistics


@dataclasses.dataclass(frozen=True)
class ReturnEstimate:
    """What a policy earns per episode.

    Attributes:
      mean_return: mean over the episodes.
      low: lower end of its 95 % confidence interval; NaN for a single episode.
      high: upper end.
      episodes: number of episodes.
      mean_length: mean steps of an episode.
      returns: of each episode, in the order of their seeds.
    """

    mean_return: float
    low: float
    high: float
    episodes: int
    mean_length: float
    returns: tuple[float, ...]

    @classmethod
    def of(cls, results: episodes_lib.EpisodeResults) -> "ReturnEstimate":
        """The estimate from some episodes."""
        interval = statistics.mean_and_interval(results.returns.tolist())
        return cls(
            interval.mean,
            interval.low,
            interval.high,
            len(results.returns),
            float(results.lengths.mean()),
            tuple(results.returns.tolist()),
        )

    def to_json(self) -> dict[str, Any]:
        """The estimate as plain JSON values; NaN as None."""
        return {
            "mean_return": self.mean_return,
            "low": _or_none(self.low),
            "high": _or_none(self.high),
            "episodes": self.episodes,
            "mean_length": self.mean_length,
            "returns": list(self.returns),
        }


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A quantized policy and the float one that it was made from, on the same episodes.

    Attributes:
      version: of the policy.
      train_step: train steps of its snapshot.
      recipe: of the quantized policy.
      quantized: what the quantized policy earns.
      float32: what the float policy earns.
      confirmed: whether the episodes are fresh ones, played after a first look said that this is the best policy so far. The mean of a
        first look that was picked for being high is too high.
      quantized_bytes: size of the quantized model.
      float32_bytes: size of the float model.
      first_look: mean return of the quantized policy's first look, whose episodes are the same for all policies of a run; None if there was none.
    """

    version: int
    train_step: int
    recipe: str
    quantized: ReturnEstimate
    float32: ReturnEstimate
    confirmed: bool
    quantized_bytes: int
    float32_bytes: int
    first_look: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain JSON values."""
        return {
            "version": self.version,
            "train_step": self.train_step,
            "recipe": self.recipe,
            "confirmed": self.confirmed,
            "first_look": self.first_look,
            "quantized": self.quantized.to_json(),
            "float32": self.float32.to_json(),
            "size_bytes": {"quantized": self.quantized_bytes, "float32": self.float32_bytes},
        }


def _or_none(value: float) -> float | None:
    return value if value == value else None
