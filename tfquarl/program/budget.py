"""What a run may use, what it has used, and how it ended."""

from collections.abc import Mapping
import dataclasses
import enum
from typing import Any

from tfquarl.metrics import names

# In summary.json: from the learner's reading of weights until a policy of them was ready in a collector, and until it acted.
LATENCIES = {
    "snapshot_to_ready_p95_sec": names.SNAPSHOT_TO_READY_P95_SEC,
    "snapshot_to_use_p95_sec": names.SNAPSHOT_TO_USE_P95_SEC,
}


class Status(enum.StrEnum):
    """How a run ended."""

    COMPLETED = "completed"  # the budget of environment steps, or of time, was used
    TARGET_REACHED = "target_reached"  # the int8 policy reached stop_at_return
    INTERRUPTED = "interrupted"  # Ctrl-C or SIGTERM
    FAILED = "failed"  # a node died


@dataclasses.dataclass
class Progress:
    """What is known of a run while it goes on.

    Attributes:
      env_steps: environment steps by collector.
      train_steps: of the learner.
      evaluations: results that the evaluator sent, in order: the confirmed ones and the last one.
      final_version: version of the learner's last snapshot, once it has ended.
      latency_sec: by name of `LATENCIES`, of each collector that has told it.
    """

    env_steps: dict[int, int] = dataclasses.field(default_factory=dict)
    train_steps: int = 0
    evaluations: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    final_version: int | None = None
    latency_sec: dict[str, dict[int, float]] = dataclasses.field(default_factory=dict)

    def count(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Takes in a row of metrics."""
        if group.startswith("collect/"):
            collector = int(group.removeprefix("collect/"))
            self.env_steps[collector] = step
            for name, metric in LATENCIES.items():
                if metric in values:
                    self.latency_sec.setdefault(name, {})[collector] = values[metric]
        elif group == names.TRAIN:
            self.train_steps = step

    def add_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Takes a result of the evaluator; in a long run there are more of them than one can keep."""
        if self.evaluations and not self.evaluations[-1]["confirmed"]:
            del self.evaluations[-1]
        self.evaluations.append(dict(evaluation))

    @property
    def total_env_steps(self) -> int:
        """Environment steps of all collectors."""
        return sum(self.env_steps.values())

    def target_reached(self, stop_at_return: float | None) -> bool:
        """Whether a confirmed evaluation of the quantized policy has reached `stop_at_return`."""
        return stop_at_return is not None and any(
            evaluation["confirmed"] and evaluation["quantized"]["mean_return"] >= stop_at_return
            for evaluation in self.evaluations
        )

    def is_judged(self, version: int | None) -> bool:
        """Whether the policy of `version`, or a newer one, has been evaluated."""
        return version is not None and any(evaluation["version"] >= version for evaluation in self.evaluations)


@dataclasses.dataclass(frozen=True)
class Budget:
    """When a run ends.

    Attributes:
      num_env_steps: environment steps of all collectors together.
      stop_at_return: ends earlier when the int8 policy's confirmed mean return reaches it; None never.
      final_evaluation_sec: how long the end waits for the verdict on the last policy.
      max_wall_time_sec: ends earlier when the run has been going for so long; None never.
    """

    num_env_steps: int
    stop_at_return: float | None
    final_evaluation_sec: float
    max_wall_time_sec: float | None = None

    def is_used(self, progress: Progress, elapsed_sec: float) -> bool:
        """Whether the steps or the time are used, or the learner has ended by itself.

        Args:
          progress: of the run.
          elapsed_sec: for how long it has been going.
        """
        is_over_time = self.max_wall_time_sec is not None and elapsed_sec >= self.max_wall_time_sec
        return is_over_time or progress.total_env_steps >= self.num_env_steps or progress.final_version is not None
