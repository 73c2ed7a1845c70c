"""Checkpoints of the replay server: whole or not at all, the newest two kept, and a damaged one passed over and replaced by the next.

replay/3/experience ...   as Reverb writes it
replay/3/digests.json     sha256 of each of its files, written last
"""

import contextlib
import hashlib
import json
import pathlib
import shutil

from absl import logging
import reverb

from tfquarl.core import errors
from tfquarl.core import files

_DIGESTS = "digests.json"
_WRITING = ".writing"
_CHUNK_BYTES = 1 << 20


class ReplayCheckpoints:
    """Names the checkpoints of one replay, for the one process that serves it."""

    def __init__(self, directory: pathlib.Path, max_to_keep: int = 2) -> None:
        """Stores the arguments.

        Args:
          directory: of the checkpoints.
          max_to_keep: newest whole ones that stay; >= 1.
        """
        self._directory = directory
        self._damaged: set[int] = set()
        self._max_to_keep = max_to_keep

    def checkpointer(self) -> reverb.checkpointers.CheckpointerBase:
        """What a new server restores the newest whole checkpoint by, where there is one, and writes by."""
        writing = self._directory / _WRITING
        with files.storage_errors(f"preparing {writing}"):
            if writing.exists():  # of a server that was killed while it wrote
                shutil.rmtree(writing)
            writing.mkdir(parents=True)
        newest = self.newest()
        logging.info("The replay goes on from %s", newest) if newest else None
        return reverb.checkpointers.DefaultCheckpointer(str(writing), "", str(newest) if newest else None)

    def newest(self) -> pathlib.Path | None:
        """The newest checkpoint that is whole; None where there is none."""
        for number in reversed(self._numbers()):
            path = self._directory / str(number)
            damage = _damage(path)
            if damage is None:
                return path
            self._damaged.add(number)
            logging.warning("Replay checkpoint %s can't be read and is passed over: %s", path, damage)
        return None

    def save(self, client: reverb.Client) -> pathlib.Path:
        """Has the server of `checkpointer` write a checkpoint; it answers nobody else meanwhile. Then removes old ones.

        Raises:
          StorageError: it can't be written; those before stay.
        """
        number = max(self._numbers(), default=0) + 1
        path = self._directory / str(number)
        with files.storage_errors(f"writing {path}"):
            written = pathlib.Path(_checkpoint(client, path))
            for file in written.iterdir():
                files.sync(file)
            digests = {file.name: _digest(file) for file in written.iterdir()}
            files.write_json(written / _DIGESTS, digests)
            written.rename(path)
            files.sync(self._directory)
            self._remove_old()
        return path

    def _remove_old(self) -> None:
        """Keeps the newest whole ones: a damaged one must not take the place of one that can be read."""
        numbers = self._numbers()
        kept = [number for number in numbers if number not in self._damaged][-self._max_to_keep :]
        for number in numbers:
            if number not in kept:
                shutil.rmtree(self._directory / str(number))

    def _numbers(self) -> list[int]:
        """Of the checkpoints, oldest first."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(int(entry.name) for entry in self._directory.iterdir() if entry.name.isdigit())
        return []


def _checkpoint(client: reverb.Client, path: pathlib.Path) -> str:
    try:
        return client.checkpoint()
    except RuntimeError as error:
        raise errors.StorageError(f"writing {path} failed: {error}; is there space?") from error


def _damage(path: pathlib.Path) -> str | None:
    """What is wrong with a checkpoint; None if it is whole."""
    try:
        digests = dict(json.loads((path / _DIGESTS).read_text()))
        altered = [name for name, digest in digests.items() if _digest(path / name) != digest]
    except (OSError, ValueError, TypeError) as error:
        return str(error)
    if not digests:
        return "it tells of no file"
    return f"{', '.join(altered)} was altered" if altered else None


def _digest(path: pathlib.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
    return digest.hexdigest()
