"""A page for a terminal: tables whose columns line up, and no plots."""

from collections.abc import Sequence
import re

_BAR = re.compile(r"(?<!\\)\|")


def of(markdown: str) -> str:
    """The text of a page in Markdown, as a person reads it where Markdown is not drawn."""
    lines: list[str] = []
    table: list[str] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            table.append(line)
            continue
        if table:
            lines += _aligned(table)
            table = []
        lines.append(line)
    text = "\n".join(line for line in lines if not line.startswith("!["))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _aligned(table: Sequence[str]) -> list[str]:
    """A table of Markdown without its bars: numbers to the right, where its second line says so."""
    header, alignment, *rows = [[cell.strip() for cell in _BAR.split(line)[1:-1]] for line in table]
    cells = [[cell.replace("\\|", "|") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    is_right = [cell.endswith(":") for cell in alignment]

    def join(row: Sequence[str]) -> str:
        return "  ".join(
            text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, is_right)
        ).rstrip()

    return [join(cells[0]), "  ".join("-" * width for width in widths), *map(join, cells[1:])]
