"""Tests of `tfquarl.metrics.jsonl`."""

import json
import math

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.metrics import jsonl

_ROWS = [
    jsonl.MetricRow(0.5, "train", 10, {"Losses/loss": 0.25}),
    jsonl.MetricRow(1.25, "collect/0", 200, {"Metrics/AverageReturn": 20.0, "Metrics/EnvironmentSteps": 200.0}),
]
_LINE = '{"time_sec": 1, "group": "a", "step": %d, "values": {}}\n'


def _write(path, rows):
    writer = jsonl.JsonLinesWriter(path)
    for row in rows:
        writer.write(row)
    writer.close()


def test_rows_come_back_as_written(tmp_path):
    _write(tmp_path / "m", _ROWS)

    assert list(jsonl.read_rows(tmp_path / "m")) == _ROWS


def test_a_line_is_one_plain_object(tmp_path):
    _write(tmp_path / "m", [jsonl.MetricRow(1.23456, "train", np.int64(3), {"a": np.float32(0.5)})])

    assert json.loads((tmp_path / "m").read_text()) == {
        "time_sec": 1.235,
        "group": "train",
        "step": 3,
        "values": {"a": 0.5},
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")], ids=str)
def test_what_json_lacks_is_null_and_reads_as_nan(tmp_path, value):
    _write(tmp_path / "m", [jsonl.MetricRow(0, "train", 1, {"a": value})])

    assert '"a": null' in (tmp_path / "m").read_text()
    assert math.isnan(next(jsonl.read_rows(tmp_path / "m")).values["a"])


def test_a_row_is_readable_as_soon_as_it_is_written(tmp_path):
    writer = jsonl.JsonLinesWriter(tmp_path / "m")
    writer.write(_ROWS[0])

    assert list(jsonl.read_rows(tmp_path / "m")) == _ROWS[:1]
    writer.close()


def test_a_file_that_somebody_deletes_meanwhile_is_a_storage_error(tmp_path):
    writer = jsonl.JsonLinesWriter(tmp_path / "m")
    (tmp_path / "m").unlink()
    with pytest.raises(errors.StorageError, match="it was deleted while the run goes on"):
        writer.write(_ROWS[0])
    writer.close()


@pytest.mark.parametrize("torn", ['{"time_sec": 2, "gro', '{"time_sec": 2, "group": "a", "step": 1, "values": {}}'])
def test_a_torn_last_line_is_left_out_and_mended_by_the_next_writer(tmp_path, torn):
    path = tmp_path / "m"
    _write(path, _ROWS[:1])
    path.write_text(path.read_text() + torn)
    assert list(jsonl.read_rows(path)) == _ROWS[:1]

    _write(path, _ROWS[1:])

    assert list(jsonl.read_rows(path)) == _ROWS


@pytest.mark.parametrize(
    "content, step",
    [("", None), ('{"time', None), (_LINE % 1, 1), (_LINE % 1 + _LINE % 2, 2), (_LINE % 1 + '{"time', 1)],
    ids=["empty", "torn", "one", "two", "torn_after_one"],
)
def test_last_row_is_the_last_whole_one(tmp_path, content, step):
    (tmp_path / "m").write_text(content)
    row = jsonl.last_row(tmp_path / "m")

    assert (row and row.step) == step


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        '{"time_sec": 1, "group": "a", "step": 1, "values": 3}',
        '{"time_sec": "x", "group": "a", "step": 1, "values": {}}',
    ],
)
def test_a_damaged_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "m"
    _write(path, _ROWS[:1])
    path.write_text(path.read_text() + line + "\n")

    with pytest.raises(errors.ArtifactError, match=r"m:2: not a row"):
        list(jsonl.read_rows(path))


def test_a_missing_file_is_a_storage_error(tmp_path):
    with pytest.raises(errors.StorageError, match="No such file"):
        list(jsonl.read_rows(tmp_path / "m"))
