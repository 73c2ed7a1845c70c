"""Files that are written whole or not at all, and a full disk told in one line."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import json
import math
import os
import pathlib
import tempfile
from typing import Any

from tfquarl.core import errors

MAX_JSON_BYTES = 16 << 20
"""Of a file of JSON that is read whole."""


@contextlib.contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turns what the operating system refuses into one line.

    Args:
      action: what is tried, with the path, e.g. 'writing runs/a/summary.json'.

    Raises:
      StorageError: the block raised an `OSError`: no space, no permission, not a directory.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise errors.StorageError(f"{action} failed: {reason}; is there space, and may you write there?") from error


def write_atomically(path: pathlib.Path, content: str | bytes, mode: int = 0o644) -> None:
    """Replaces the file at `path` by `content`: a reader sees the old or the new file, even after a power cut.

    Args:
      path: of the file.
      content: all of it; text as UTF-8.
      mode: who may read it.

    Raises:
      StorageError: the file can't be written; the old one is untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    with storage_errors(f"writing {path}"):
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        sync(path.parent)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Replaces the file at `path` by `value`, indented; NaN and infinity, which JSON lacks, become null.

    Raises:
      StorageError: the file can't be written; the old one is untouched.
      TypeError: `value` holds something other than mappings, sequences, strings, numbers, booleans and None.
    """
    write_atomically(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def read_bytes(path: pathlib.Path, limit: int) -> bytes:
    """A file's bytes, which are counted before there is memory for them.

    Raises:
      ArtifactError: there are more than `limit`.
      StorageError: it can't be read.
    """
    with storage_errors(f"reading {path}"), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise errors.ArtifactError(f"{path} has {size} bytes, at most {limit} are read; is it the right file?")
        return file.read(limit)


def sync(path: pathlib.Path) -> None:
    """Makes a file's bytes, or the names in a directory, last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finite(value: Any) -> Any:
    """`value` with None in the place of every float that JSON can't hold."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
