"""A `MetricsSink` that only remembers, for tests."""

from collections.abc import Mapping


class MemoryMetrics:
    """Remembers every row.

    Attributes:
      rows: (group, step, values) in the order of writing.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, dict[str, float]]] = []

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Remembers a row."""
        self.rows.append((group, step, dict(values)))

    def series(self, group: str, name: str) -> list[float]:
        """All values of one figure, in the order of writing."""
        return [values[name] for row_group, _, values in self.rows if row_group == group and name in values]
