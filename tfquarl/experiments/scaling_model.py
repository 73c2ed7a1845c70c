"""How fast a run makes environment steps with N collectors: the slowest of its collectors, its learner and the machine's cores.

steps per second = min(N / collector, 1 / learner, (cores - beside) / (collector + learner + others)), by processor time per environment
step. Collectors and learner have one thread each that matters, so that none gets more than one core. 1 / learner is the learner's own
limit, its train steps per second x batch size / samples per insert, since the replay ratio ties the two together. On a machine with a
core for each process the last term falls away.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any

COLLECTORS = "collectors"
LEARNER = "learner"
CORES = "cores"


@dataclasses.dataclass(frozen=True)
class StepCosts:
    """What a run takes of processors, and when it began to collect.

    Attributes:
      collector: CPU seconds of a collector per environment step that it makes.
      learner: CPU seconds of the learner per environment step of all collectors.
      others: of server and converter, likewise.
      beside: CPU seconds per second of what goes on whatever the steps do: evaluator, launcher.
      startup_sec: wall time until the first environment steps.
    """

    collector: float
    learner: float
    others: float
    beside: float
    startup_sec: float

    @property
    def saturating_collectors(self) -> float:
        """Collectors that keep the learner busy, if each process has a core."""
        return self.collector / self.learner


@dataclasses.dataclass(frozen=True)
class Rate:
    """What the model says of a run.

    Attributes:
      steps_per_sec: environment steps of all collectors.
      limit: what holds it there: 'collectors', 'learner' or 'cores'.
    """

    steps_per_sec: float
    limit: str


def rate(costs: StepCosts, num_collectors: int, cores: int | None = None) -> Rate:
    """Environment steps per second.

    Args:
      costs: of the run's arm.
      num_collectors: 1 or more.
      cores: that all processes share; None for a core each.
    """
    limits = {COLLECTORS: num_collectors / costs.collector, LEARNER: 1 / costs.learner}
    if cores is not None:
        limits[CORES] = max(cores - costs.beside, 0.0) / (costs.collector + costs.learner + costs.others)
    limit = min(limits, key=limits.__getitem__)
    return Rate(limits[limit], limit)


def wall_sec(costs: StepCosts, num_collectors: int, env_steps: int, cores: int | None = None) -> float:
    """Wall time of a run of so many environment steps, start-up included; as `rate`."""
    return costs.startup_sec + env_steps / rate(costs, num_collectors, cores).steps_per_sec


def mean(costs: Sequence[StepCosts]) -> StepCosts:
    """Of runs that differ in their seeds; at least one."""
    values: dict[str, Any] = {
        field.name: sum(getattr(one, field.name) for one in costs) / len(costs)
        for field in dataclasses.fields(StepCosts)
    }
    return StepCosts(**values)
