"""Settings of a collector."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class CollectorConfig:
    """How a collector works.

    Attributes:
      initial_collect_steps: environment steps of this collector with uniform random actions, before it follows a policy. It goes on with
        them until there is one.
      report_interval_sec: seconds between reports of metrics.
      num_report_episodes: latest episodes that the reported means are taken over.
      poll_interval_sec: seconds between looks for a newer policy, beside the loop.
      max_policy_age_sec: seconds without a newer policy after which collecting is an error.
    """

    initial_collect_steps: int = 1000
    report_interval_sec: float = 2.0
    num_report_episodes: int = 10
    poll_interval_sec: float = 0.1
    max_policy_age_sec: float = 600.0

    def __post_init__(self) -> None:
        if self.initial_collect_steps < 0:
            raise ValueError(f"initial_collect_steps is {self.initial_collect_steps}, needs 0 or more")
        if self.num_report_episodes < 1:
            raise ValueError(f"num_report_episodes is {self.num_report_episodes}, needs 1 or more")
        for name in ("report_interval_sec", "poll_interval_sec", "max_policy_age_sec"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, needs more than 0")
