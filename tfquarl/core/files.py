"""Files that are written whole or not at all, and a full disk told in one line."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import tempfile

from tfquarl.core import errors


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


def write_atomically(path: pathlib.Path, content: str | bytes) -> None:
    """Replaces the file at `path` by `content`: a reader sees the old or the new file, even after a power cut.

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
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        sync_directory(path.parent)


def sync_directory(path: pathlib.Path) -> None:
    """Makes the names in a directory last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
