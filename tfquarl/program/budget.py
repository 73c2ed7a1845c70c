"""What a run may use, what it has used, and how it ended."""

from collections.abc import Mapping
import dataclasses
import enum
import math
from typing import Any

from tfquarl.metrics import names
from tfquarl.program import node_process

# In summary.json: from the learner's reading of weights until a policy of them was ready in a collector, and until it acted.
LATENCIES = {
    "snapshot_to_ready_p95_sec": names.SNAPSHOT_TO_READY_P95_SEC,
    "snapshot_to_use_p95_sec": names.SNAPSHOT_TO_USE_P95_SEC,
}


class Status(enum.StrEnum):
    """How a run ended."""

    COMPLETED = "completed"  # the budget of environment steps, of train steps or of time was used
    TARGET_REACHED = "target_reached"  # the int8 policy reached stop_at_return
    INTERRUPTED = "interrupted"  # Ctrl-C, SIGTERM or a closed terminal
    FAILED = "failed"  # a node died


@dataclasses.dataclass
class Progress:
    """What is known of a run while it goes on, and of what it did before it was resumed.

    Attributes:
      env_steps: environment steps by collector.
      train_steps: of the learner.
      evaluations: results that the evaluator sent, in order: the confirmed ones and the last one; after a resumption those of the kept
        policies come first.
      final_version: version of the learner's last snapshot, once it has ended.
      is_learner_done: whether it had made all its train steps by then; it may also have been ended by somebody else, and goes on.
      latency_sec: by name of `LATENCIES`, of each collector that has told it.
      episodes: episodes by collector.
      past_version: newest version from before a budget or a target was raised; policies up to it reach no target any more.
      newest_version: of the snapshots and policies that were told of.
      num_resumes: times that the run was gone on with.
      num_restarts: times that a node was started again, by its name.
      num_parity_failures: policies that the parity check refused.
      energy: the newest row of metrics group 'energy'.
    """

    env_steps: dict[int, int] = dataclasses.field(default_factory=dict)
    train_steps: int = 0
    evaluations: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    final_version: int | None = None
    is_learner_done: bool = False
    latency_sec: dict[str, dict[int, float]] = dataclasses.field(default_factory=dict)
    episodes: dict[int, int] = dataclasses.field(default_factory=dict)
    past_version: int = 0
    newest_version: int = 0
    num_resumes: int = 0
    num_restarts: dict[str, int] = dataclasses.field(default_factory=dict)
    num_parity_failures: int = 0
    energy: dict[str, float] = dataclasses.field(default_factory=dict)

    def start_point(self, collector: int = 0, port: int = 0) -> node_process.StartPoint:
        """What a node goes on from: the collector of that index, or any other node of the run."""
        return node_process.StartPoint(
            self.env_steps.get(collector, 0), self.episodes.get(collector, 0), self.newest_version, port
        )

    def count(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Takes a row of metrics; environment steps never go back, whatever a collector that was started again says."""
        if group.startswith(f"{names.COLLECT}/"):
            collector = int(group.removeprefix(f"{names.COLLECT}/"))
            self.env_steps[collector] = max(step, self.env_steps.get(collector, 0))
            for name, metric in LATENCIES.items():
                if metric in values:
                    self.latency_sec.setdefault(name, {})[collector] = values[metric]
            self.episodes[collector] = int(values.get(names.NUMBER_OF_EPISODES, self.episodes.get(collector, 0)))
        elif group == names.TRAIN:
            self.train_steps = step
        elif group == names.CONVERT:
            # Of the rows, as a count of the converter's own would begin anew with it.
            self.num_parity_failures += values.get(names.IS_PARITY_PASSED) == 0.0
        elif group == names.ENERGY:
            self.energy = dict(values)
        elif group == names.RUN:
            self.num_resumes = int(values.get(names.NUM_RESUMES, self.num_resumes))
            self.past_version = int(values.get(names.PAST_VERSION, self.past_version))
            prefix = names.RESTARTS_PREFIX
            self.num_restarts |= {
                name.removeprefix(prefix): int(value) for name, value in values.items() if name.startswith(prefix)
            }
        for name in (names.SNAPSHOT_VERSION, names.POLICY_VERSION):
            version = values.get(name, 0)
            if math.isfinite(version):
                self.newest_version = max(self.newest_version, int(version))

    def add_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Takes a result of the evaluator; in a long run there are more of them than one can keep.

        One that is no newer than the last is passed over: an evaluator that was started again tells what its archive has.
        """
        if self.is_judged(evaluation["version"]):
            return
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
            evaluation["confirmed"]
            and evaluation["version"] > self.past_version
            and evaluation["quantized"]["mean_return"] >= stop_at_return
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
      past_sec: for how long it had been going before it was resumed.
    """

    num_env_steps: int
    stop_at_return: float | None
    final_evaluation_sec: float
    max_wall_time_sec: float | None = None
    past_sec: float = 0.0

    def is_used(self, progress: Progress, elapsed_sec: float) -> bool:
        """Whether the environment steps, the train steps or the time are used.

        Args:
          progress: of the run.
          elapsed_sec: for how long it has been going since it began or was resumed.
        """
        limit_sec = self.max_wall_time_sec
        is_over_time = limit_sec is not None and self.past_sec + elapsed_sec >= limit_sec
        return is_over_time or progress.total_env_steps >= self.num_env_steps or progress.is_learner_done
