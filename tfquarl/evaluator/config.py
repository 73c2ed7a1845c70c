"""Settings of the evaluator."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class EvaluatorConfig:
    """How policies are judged.

    Attributes:
      num_episodes: episodes of each policy in a first look.
      num_confirm_episodes: fresh episodes of each policy when its first look is better than the best policy's (`PolicyEvaluator`). Of policies that
        are equally good, half look better.
      num_environments: environments that are stepped together, with one batched inference.
      poll_interval_sec: seconds between looks for a newer policy.
      time_share: of the run's time that may be spent on playing, in (0, 1]: a verdict is followed by a pause of at most a minute, which leaves
        the core, and its energy, to others. Where training has ended there is none.
      interval_steps: train steps between judged policies, which wait in memory until the evaluator is free; after training it judges all that
        still wait. 0: whenever it is free it judges the newest one, so that a slower run has more verdicts.
    """

    num_episodes: int = 10
    num_confirm_episodes: int = 100
    num_environments: int = 1
    poll_interval_sec: float = 0.2
    time_share: float = 1.0
    interval_steps: int = 0

    def __post_init__(self) -> None:
        for name in ("num_episodes", "num_confirm_episodes", "num_environments"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, needs 1 or more")
        if not self.poll_interval_sec > 0:
            raise ValueError(f"poll_interval_sec is {self.poll_interval_sec}, needs more than 0")
        if not 0 < self.time_share <= 1:
            raise ValueError(f"time_share is {self.time_share}, needs more than 0 and at most 1")
        if self.interval_steps < 0:
            raise ValueError(f"interval_steps is {self.interval_steps}, needs 0 or more")
