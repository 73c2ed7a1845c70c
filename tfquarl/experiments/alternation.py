"""Arms of a comparison, run in turns: a slow moment of the machine hits all of them."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Protocol

from tfquarl.metrics import statistics
from tfquarl.metrics import table


@dataclasses.dataclass(frozen=True)
class Slice:
    """What one arm did in one turn.

    Attributes:
      count: of what it does: steps, calls.
      elapsed_sec: wall time, positive.
      cpu_sec: time of all threads of its process.
      wait_sec: the part of the wall time in which it waited for its data.
    """

    count: int
    elapsed_sec: float
    cpu_sec: float
    wait_sec: float = 0.0

    @property
    def rate(self) -> float:
        """Count per second of wall time."""
        return self.count / self.elapsed_sec


class Arm(Protocol):
    """One side of a comparison."""

    def run(self, duration_sec: float) -> Slice:
        """Works for about `duration_sec`, and at least once."""
        ...


class Measurement:
    """Slices of all arms, one of each per round."""

    def __init__(self, slices: Mapping[str, Sequence[Slice]]) -> None:
        """Stores slices by arm; all arms have equally many."""
        self._slices = slices

    def slices(self, arm: str) -> Sequence[Slice]:
        """Of one arm, in order."""
        return self._slices[arm]

    def rates(self, arm: str) -> list[float]:
        """Count per second of each slice."""
        return [piece.rate for piece in self._slices[arm]]

    def cpu_us(self, arm: str) -> list[float]:
        """Microseconds of processor time per count of each slice."""
        return [1e6 * piece.cpu_sec / piece.count for piece in self._slices[arm]]

    def ratio(self, case: str, metric: str, numerator: str, denominator: str) -> table.BenchmarkRow:
        """How many times faster one arm is than another, with its 95 % interval."""
        ratio = statistics.ratio_and_interval(self.rates(numerator), self.rates(denominator))
        return table.BenchmarkRow(case, metric, ratio.ratio, "x", ratio.low, ratio.high)

    def cpu_ratio(self, case: str, metric: str, numerator: str, denominator: str) -> table.BenchmarkRow:
        """How many times more processor time per count one arm takes than another, with its 95 % interval."""
        ratio = statistics.ratio_and_interval(self.cpu_us(numerator), self.cpu_us(denominator))
        return table.BenchmarkRow(case, metric, ratio.ratio, "x", ratio.low, ratio.high)


def median_row(case: str, metric: str, values: Sequence[float], unit: str) -> table.BenchmarkRow:
    """The median of the values with its quartiles."""
    spread = statistics.median_and_spread(values)
    return table.BenchmarkRow(case, metric, spread.median, unit, spread.low, spread.high)


def alternate(
    arms: Mapping[str, Arm], num_rounds: int, slice_sec: float, lead_in_sec: float | None = None
) -> Measurement:
    """Runs the arms in turns: ABC BCA CAB ..., so that none always follows the same one.

    Args:
      arms: by name.
      num_rounds: slices of each, 1 or more.
      slice_sec: of each slice.
      lead_in_sec: for which an arm works before each slice without being counted: after a second's rest Reverb's stream takes a tenth of
        a second for its first answer, which work that goes on never meets. None: none.
    """
    if num_rounds < 1 or not slice_sec > 0:
        raise ValueError(f"got {num_rounds} rounds of {slice_sec} s, needs at least one round of a positive time")
    names = list(arms)
    slices: dict[str, list[Slice]] = {name: [] for name in names}
    for number in range(num_rounds):
        first = number % len(names) if names else 0
        for name in names[first:] + names[:first]:
            if lead_in_sec is not None:
                arms[name].run(lead_in_sec)
            slices[name].append(arms[name].run(slice_sec))
    return Measurement(slices)
