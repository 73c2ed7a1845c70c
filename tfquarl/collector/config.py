"""Settings of a collector."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class CollectorConfig:
    """How a collector works.

    Attributes:
      initial_collect_steps: environment steps of this collector with uniform random actions, before it follows a policy. It goes on with
        them until there is one.
      max_episode_steps: actions after which a collector truncates an episode and begins the next; None leaves that to the environment, as
        the evaluator does in any case. For tasks whose rewards are all near the beginning until something is learned: a humanoid falls.
      report_interval_sec: seconds between reports of metrics.
      num_report_episodes: latest episodes that the reported means are taken over.
      poll_interval_sec: seconds between looks for a newer policy, beside the loop.
      max_policy_age_sec: seconds without a newer policy after which collecting is an error.
      stop_at_bad_numbers: whether a NaN or an infinity in an action, an observation or a reward ends the run. Otherwise the episode
        is broken off there and the next one begins; what was whole stays in the replay.
      max_bad_episodes: broken off so, one after another with no whole episode between, after which it ends the run anyway.
    """

    initial_collect_steps: int = 1000
    max_episode_steps: int | None = None
    report_interval_sec: float = 2.0
    num_report_episodes: int = 10
    poll_interval_sec: float = 0.1
    max_policy_age_sec: float = 600.0
    stop_at_bad_numbers: bool = False
    max_bad_episodes: int = 20

    def __post_init__(self) -> None:
        if self.initial_collect_steps < 0:
            raise ValueError(f"initial_collect_steps is {self.initial_collect_steps}, needs 0 or more")
        if self.max_episode_steps is not None and self.max_episode_steps < 1:
            raise ValueError(f"max_episode_steps is {self.max_episode_steps}, needs 1 or more, or None")
        for name in ("num_report_episodes", "max_bad_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, needs 1 or more")
        for name in ("report_interval_sec", "poll_interval_sec", "max_policy_age_sec"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, needs more than 0")
