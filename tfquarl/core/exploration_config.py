"""How one collector explores, as a plain value: agents choose it, the collector's exploration classes carry it out."""

import dataclasses
import math

from tfquarl.core import errors

EPSILON_GREEDY = "epsilon_greedy"
GAUSSIAN = "gaussian"
KINDS = (EPSILON_GREEDY, GAUSSIAN)


@dataclasses.dataclass(frozen=True)
class ExplorationConfig:
    """Exploration of one collector, with a linear schedule over the environment steps of that collector.

    Attributes:
      kind: 'epsilon_greedy' (discrete actions) or 'gaussian' (continuous actions, clipped to the bounds).
      start: strength at the collector's first step: epsilon in [0, 1], or sigma as a share of each action's half range.
      end: strength from step `decay_steps` on, in the same unit.
      decay_steps: steps of this collector over which the strength goes from `start` to `end`; 0 means `end` at once.
      seed: of this collector's random numbers.
      hold_exponent: mu > 1 where a random action is held for n steps with probability in proportion to n^-mu (epsilon-z-greedy,
        arXiv 2006.01782, section 3), which reaches what single random actions never do; None holds it for one step.
        'epsilon_greedy' only. Epsilon is then the probability that a random action begins where none is held: with a mean hold of h steps
        (at most 100 each; 37 for mu = 1.25) the share of random actions is epsilon h / (1 - epsilon + epsilon h).
    """

    kind: str
    start: float
    end: float
    decay_steps: int
    seed: int
    hold_exponent: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise errors.ConfigError(f"exploration kind is '{self.kind}', needs one of {', '.join(KINDS)}")
        limit = 1.0 if self.kind == EPSILON_GREEDY else math.inf
        if not (0 <= self.start <= limit and 0 <= self.end <= limit and math.isfinite(self.start + self.end)):
            raise errors.ConfigError(
                f"{self.kind} needs start and end in [0, {limit}], got {self.start} and {self.end}"
            )
        if self.hold_exponent is not None and (self.kind != EPSILON_GREEDY or not 1 < self.hold_exponent < math.inf):
            raise errors.ConfigError(
                f"hold_exponent is {self.hold_exponent} for {self.kind}, needs a number above 1 for {EPSILON_GREEDY}, or None"
            )
        if self.decay_steps < 0:
            raise errors.ConfigError(f"decay_steps is {self.decay_steps}, needs 0 or more")

    def strength(self, step: int) -> float:
        """Epsilon or sigma at environment step `step` (from 0) of this collector."""
        if step >= self.decay_steps:
            return self.end
        return self.start + (self.end - self.start) * step / self.decay_steps
