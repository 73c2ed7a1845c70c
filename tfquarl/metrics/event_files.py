"""TensorBoard event files, written without TensorFlow."""

from collections.abc import Mapping
import itertools
import os
import pathlib
import socket
import time
from typing import Any

from tensorboard.compat.proto import event_pb2
from tensorboard.compat.proto import summary_pb2
from tensorboard.summary.writer import record_writer

from tfquarl.core import files

# Generated code: a type checker finds no attributes in it.
_Event: Any = event_pb2.Event  # pyright: ignore[reportAttributeAccessIssue]
_Summary: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]

_file_numbers = itertools.count()


class EventFileWriter:
    """Writes scalars into one new event file of a directory. What is written is on disk after `flush` or `close`."""

    def __init__(self, directory: pathlib.Path) -> None:
        """Starts an event file in `directory`, which is made where it is missing.

        Raises:
          StorageError: the directory or the file can't be made.
        """
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{next(_file_numbers)}"
        self._path = directory / name
        with files.storage_errors(f"making {self._path}"):
            directory.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("xb")
        self._writer = record_writer.RecordWriter(self._file)
        self._write(_Event(wall_time=now, file_version="brain.Event:2"))

    def write(self, step: int, values: Mapping[str, float], wall_time_sec: float) -> None:
        """Scalars by their tags.

        Args:
          step: TensorBoard's horizontal axis.
          values: any floats, NaN and infinity too; kept as float32.
          wall_time_sec: seconds since 1970.

        Raises:
          StorageError: no space is left.
        """
        summary = _Summary(value=[_Summary.Value(tag=tag, simple_value=float(value)) for tag, value in values.items()])
        self._write(_Event(wall_time=wall_time_sec, step=int(step), summary=summary))

    def flush(self) -> None:
        """Hands all that was written to the operating system, so that TensorBoard sees it."""
        with files.storage_errors(f"writing {self._path}"):
            self._writer.flush()

    def close(self) -> None:
        """Ends the file; closing twice does nothing."""
        with files.storage_errors(f"writing {self._path}"):
            self._writer.close()

    def _write(self, event: Any) -> None:
        with files.storage_errors(f"writing {self._path}"):
            self._writer.write(event.SerializeToString())
