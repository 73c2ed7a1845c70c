"""Aligned text tables, and the report of a benchmark as a table and as JSON."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import math
import os
import pathlib
import sys
from typing import TextIO

from tfquarl.core import files
from tfquarl.metrics import machine


@dataclasses.dataclass(frozen=True)
class BenchmarkRow:
    """One figure of a benchmark.

    Attributes:
      case: what was measured, e.g. 'cartpole-balance 3x256 static_wi8_ai8'.
      metric: which quantity of it, e.g. 'steps per second'.
      value: the median, or the ratio.
      unit: of value, low and high, e.g. 'us', '1/s'; 'x' for a ratio.
      low: lower end of its spread or interval; None where there is none.
      high: upper end; None likewise.
    """

    case: str
    metric: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None


class Number(str):
    """Text of a number that was written elsewhere: tables have it to the right, as they have numbers."""

    __slots__ = ()


def format_number(value: float) -> str:
    """Four digits that matter: '0.001234', '12.35', '1,235', '12,345,678'; '--' for NaN."""
    if math.isnan(value):
        return "--"
    if math.isinf(value) or value == 0:
        return f"{value:g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def format_table(header: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """The rows below the header, columns aligned: text to the left, numbers to the right; None is left blank.

    Raises:
      ValueError: a row with more or fewer cells than the header.
    """
    cells = _cells(header, rows)
    widths = [max(map(len, column)) for column in zip(*[list(header), *[[text for text, _ in row] for row in cells]])]
    is_number = [any(number for _, number in column) for column in zip(*cells)] or [False] * len(header)
    lines = [_join(header, widths, is_number), "  ".join("-" * width for width in widths)]
    lines += [_join([text for text, _ in row], widths, is_number) for row in cells]
    return "\n".join(lines) + "\n"


def format_markdown(header: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """The same as a Markdown table.

    Raises:
      ValueError: a row with more or fewer cells than the header.
    """
    cells = _cells(header, rows)
    is_number = [any(number for _, number in column) for column in zip(*cells)] or [False] * len(header)
    lines = [list(header), ["--:" if number else "---" for number in is_number]]
    lines += [[text.replace("|", "\\|") for text, _ in row] for row in cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def benchmark_report(
    suite: str,
    rows: Sequence[BenchmarkRow],
    output: str | os.PathLike[str] | None = None,
    command: Sequence[str] | None = None,
    stream: TextIO | None = None,
) -> None:
    """Prints the rows as a table and, where `output` is given, writes them as JSON with what they were measured on.

    Args:
      suite: name of the benchmark.
      rows: its figures.
      output: the JSON file, or None.
      command: the command line that made them; the present one if None.
      stream: where to print; stdout if None.

    Raises:
      StorageError: `output` can't be written.
    """
    header = ("case", "metric", "value", "low", "high", "unit")
    table = format_table(header, [(r.case, r.metric, r.value, r.low, r.high, r.unit) for r in rows])
    (stream or sys.stdout).write(table)
    if output is None:
        return
    report = {
        "suite": suite,
        "machine": machine.describe_machine(),
        "versions": machine.package_versions() | {"commit": machine.git_commit()},
        "command": _present_command() if command is None else list(command),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    files.write_json(pathlib.Path(output), report)


def _present_command() -> list[str]:
    """The program by its label and its flags: where it lies on this machine concerns nobody."""
    return [f"//tools:{pathlib.Path(sys.argv[0]).stem}", *sys.argv[1:]]


def _cells(header: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> list[list[tuple[str, bool]]]:
    """Each cell as text, and whether it is a number."""
    cells = [[_cell(value) for value in row] for row in rows]
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"row {[text for text, _ in row]} has {len(row)} cells, the header has {len(header)}")
    return cells


def _cell(value: str | float | None) -> tuple[str, bool]:
    if value is None:
        return "", False
    if isinstance(value, str):
        return value, isinstance(value, Number)
    return (f"{value:,}" if isinstance(value, int) else format_number(value)), True


def _join(row: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    cells = [text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, is_number)]
    return "  ".join(cells).rstrip()
