"""Tests of `tfquarl.metrics.table`."""

import io
import json
import math
import sys

import pytest

from tfquarl.core import errors
from tfquarl.metrics import table

_ROWS = [
    table.BenchmarkRow("3x256 int8", "latency", 4.4, "us", 4.25, 4.5),
    table.BenchmarkRow("3x2048 int8 over float", "speed-up", 5.0, "x"),
]


@pytest.mark.parametrize(
    "value, expected",
    [
        (0.0, "0"),
        (0.00123449, "0.001234"),
        (12.345678, "12.35"),
        (-1.5, "-1.500"),
        (999.96, "1,000.0"),
        (1234.6, "1,235"),
        (12345678.9, "12,345,679"),
        (math.nan, "--"),
        (math.inf, "inf"),
    ],
    ids=str,
)
def test_format_number(value, expected):
    assert table.format_number(value) == expected


def test_table_is_aligned():
    assert table.format_table(("policy", "return", "n"), [("int8", 480.5, 10), ("float32", None, 1000)]) == (
        "policy   return      n\n-------  ------  -----\nint8      480.5     10\nfloat32          1,000\n"
    )


def test_a_number_that_was_written_elsewhere_is_to_the_right():
    rows = [("int8", table.Number("480.5")), ("float32", table.Number("--"))]
    assert table.format_table(("policy", "return"), rows).splitlines()[2:] == ["int8      480.5", "float32      --"]
    assert table.format_markdown(("policy", "return"), rows).splitlines()[1] == "| --- | --: |"


def test_table_without_rows_is_its_header():
    assert table.format_table(("a", "bc"), []) == "a  bc\n-  --\n"


def test_markdown():
    assert table.format_markdown(("a|b", "n"), [("x|y", 1)]) == "| a|b | n |\n| --- | --: |\n| x\\|y | 1 |\n"


@pytest.mark.parametrize("make", [table.format_table, table.format_markdown])
def test_a_row_of_another_length_is_refused(make):
    with pytest.raises(ValueError, match="2 cells, the header has 1"):
        make(("a",), [("x", "y")])


def test_benchmark_report_prints_a_table_and_writes_json(tmp_path):
    stream = io.StringIO()
    table.benchmark_report("inference", _ROWS, tmp_path / "out.json", ["benchmark", "--suite=inference"], stream)

    assert stream.getvalue().splitlines()[2].split() == ["3x256", "int8", "latency", "4.400", "4.250", "4.500", "us"]
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report) == {"suite", "machine", "versions", "command", "rows"}
    assert (report["suite"], report["command"]) == ("inference", ["benchmark", "--suite=inference"])
    assert report["rows"][0] == {
        "case": "3x256 int8",
        "metric": "latency",
        "value": 4.4,
        "unit": "us",
        "low": 4.25,
        "high": 4.5,
    }
    assert report["rows"][1]["low"] is None
    assert {"python", "numpy", "commit"} <= set(report["versions"])


def test_benchmark_report_prints_to_stdout(capsys):
    table.benchmark_report("inference", _ROWS)

    assert "speed-up" in capsys.readouterr().out


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(errors.StorageError, match=r"missing/out.json"):
        table.benchmark_report("inference", _ROWS, tmp_path / "missing" / "out.json", stream=io.StringIO())


def test_a_report_names_the_program_and_not_the_place_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/tools/benchmark.py", "--suite=inference"])
    table.benchmark_report("inference", _ROWS, tmp_path / "out.json", stream=io.StringIO())
    assert json.loads((tmp_path / "out.json").read_text())["command"] == ["//tools:benchmark", "--suite=inference"]
