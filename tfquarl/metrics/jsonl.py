"""metrics.jsonl: every figure of a run, one JSON object a line.

{"time_sec": 12.5, "group": "train", "step": 400, "values": {"Losses/loss": 0.25}}
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import errno
import json
import math
import os
import pathlib

from tfquarl.core import errors
from tfquarl.core import files


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """One line of metrics.jsonl.

    Attributes:
      time_sec: for how long the run had been going; a resumed run counts on.
      group: who says so: 'train', 'eval', 'collect/0', 'convert'.
      step: what it counts is told in `tfquarl.metrics.names`.
      values: figures by name; NaN where the file has null.
    """

    time_sec: float
    group: str
    step: int
    values: Mapping[str, float]


class JsonLinesWriter:
    """Appends rows to a file, each in one write, so that a reader beside it sees whole lines."""

    def __init__(self, path: pathlib.Path) -> None:
        """Opens `path` for appending, after mending the end that a killed writer may have left.

        Raises:
          StorageError: the file can't be opened.
        """
        self._path = path
        with files.storage_errors(f"opening {path}"):
            _mend_last_line(path)
            self._file = path.open("ab", buffering=0)

    def write(self, row: MetricRow) -> None:
        """Appends one row; NaN and infinity are written as null, since JSON has neither.

        Raises:
          StorageError: no space is left, or somebody deleted the file.
        """
        values = {name: float(value) if math.isfinite(value) else None for name, value in row.values.items()}
        line = json.dumps(
            {"time_sec": round(row.time_sec, 3), "group": row.group, "step": int(row.step), "values": values},
            allow_nan=False,
        )
        with files.storage_errors(f"writing {self._path}"):
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise OSError(errno.ENOENT, "it was deleted while the run goes on")
            self._write_whole(line.encode() + b"\n")

    def close(self) -> None:
        """Closes the file; closing twice does nothing."""
        self._file.close()

    def _write_whole(self, line: bytes) -> None:
        written = self._file.write(line)
        if written != len(line):  # the disk took what it had room for; later rows must not be glued to that
            self._file.truncate(self._file.tell() - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_rows(path: pathlib.Path) -> Iterator[MetricRow]:
    """The rows of a metrics.jsonl that may still be written to: a torn last line is left out.

    Raises:
      StorageError: the file can't be read.
      ArtifactError: a line before the last one is no row.
    """
    with files.storage_errors(f"reading {path}"), path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            yield _parse(line, f"{path}:{number}")


def last_row(path: pathlib.Path) -> MetricRow | None:
    """The newest whole row of a metrics.jsonl; None where it has none. Errors as of `read_rows`."""
    last, number = None, 0
    with files.storage_errors(f"reading {path}"), path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                last, number = line, number + 1
    return None if last is None else _parse(last, f"{path}:{number}")


def _parse(line: bytes, place: str) -> MetricRow:
    try:
        row = json.loads(line)
        values = {name: math.nan if value is None else float(value) for name, value in row["values"].items()}
        return MetricRow(float(row["time_sec"]), str(row["group"]), int(row["step"]), values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.ArtifactError(
            f"{place}: not a row of metrics ({type(error).__name__}: {error}); was the file edited?"
        ) from error


def _mend_last_line(path: pathlib.Path) -> None:
    """Cuts off a last line without its newline, which no reader counts as a row."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = sum(len(line) for line in file if line.endswith(b"\n"))
        file.truncate(end)
