"""Tests of tfquarl/experiments/page_text.py."""

import pytest

from tfquarl.experiments import page_text
from tfquarl.metrics import table

_ROWS = [["a | b", 1.5], ["long name", 1234.0]]


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Title\n\nA sentence.\n", "# Title\n\nA sentence."),
        ("Before.\n\n![A plot](a.png)\n![Another](b.png)\n\nAfter.\n", "Before.\n\nAfter."),
        (
            "| name | value |\n| --- | --: |\n| a | 1.5 |\n| long |  |\n\nAfter.",
            "name  value\n----  -----\na       1.5\nlong\n\nAfter.",
        ),
        (table.format_markdown(["name", "value"], _ROWS), table.format_table(["name", "value"], _ROWS).rstrip()),
        ("    ./bazelw run a | b", "    ./bazelw run a | b"),
    ],
    ids=["no table", "plots", "a table and text", "as a program's own tables", "a bar in a command"],
)
def test_pages_as_text(markdown: str, text: str):
    assert page_text.of(markdown) == text
