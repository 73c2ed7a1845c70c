"""Settings of a study: which arms are compared, and on which seeds."""

import dataclasses

from tfquarl.core import errors

ARMS = ("S", "F32", "F16", "D8", "I8")


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """What `//tools:study` runs of one experiment. `//tools:train` makes no use of it.

    Attributes:
      arms: S is TF-Agents' own float32 collectors; F32, F16, D8 (dynamic int8) and I8 (static int8) are this project's.
      seeds: of the runs; every arm has all of them.
      floor_return: what a policy that has learned nothing earns: 95 % of a return is 95 % of the way from here to it.
    """

    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (1, 2, 3)
    floor_return: float = 0.0

    def __post_init__(self) -> None:
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms or len(set(self.arms)) < len(self.arms):
            raise errors.ConfigError(f"arms are {self.arms}, needs some of {', '.join(ARMS)}, each once")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise errors.ConfigError(f"seeds are {self.seeds}, needs at least one, each once")
