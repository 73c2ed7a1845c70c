"""How many policies of a run the parity check refused, and what collectors got in their place."""

from collections.abc import Iterable
import dataclasses

from tfquarl.metrics import jsonl
from tfquarl.metrics import names


@dataclasses.dataclass(frozen=True)
class ParityCounts:
    """How a run's policies passed the parity check.

    Attributes:
      num_checked: policies.
      num_refused: of these.
      num_as_float32: of the refused ones, in whose place collectors got the float32 policy; of the others they got none.
    """

    num_checked: int
    num_refused: int
    num_as_float32: int


def count(rows: Iterable[jsonl.MetricRow]) -> ParityCounts:
    """The counts in the rows of one run; each conversion has one."""
    checked = [row.values for row in rows if names.IS_PARITY_PASSED in row.values]
    refused = [values for values in checked if not values[names.IS_PARITY_PASSED]]
    return ParityCounts(len(checked), len(refused), sum(bool(values.get(names.IS_PUBLISHED)) for values in refused))
