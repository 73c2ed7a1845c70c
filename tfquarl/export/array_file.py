"""Arrays of numbers in .npz and .npy files of others: their headers are read first, so that none takes memory for what isn't wanted.

A few megabytes of a compressed .npz may unpack to gigabytes, and the header of an .npy may claim any shape.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import functools
import math
import os
import pathlib
from typing import IO
import zipfile

import numpy as np
from numpy.lib import format as npy_format

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import wire

MAX_ARRAY_BYTES = wire.MAX_PAYLOAD_BYTES
SINGLE = ""
"""The name of an .npy's only array."""

_HEADERS: Mapping[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype]]] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


@dataclasses.dataclass(frozen=True)
class _Member:
    """One array's bytes: how they are opened, and how many there are."""

    open: Callable[[], IO[bytes]]
    size: int


def read(
    path: pathlib.Path,
    choose: Callable[[list[str]], list[str]],
    check: Callable[[Mapping[str, tuple[int, ...]]], None] = lambda shapes: None,
) -> dict[str, np.ndarray]:
    """Arrays as float32, by name.

    Args:
      path: of an .npz or .npy, whichever its bytes are.
      choose: gives the names of the arrays to read out of those that there are, which is `SINGLE` alone for an .npy; may raise
        `ConfigError`.
      check: gets the shapes of these before any of them takes memory; may raise `ConfigError`.

    Raises:
      ConfigError: the file is neither, is damaged, or one of these arrays holds something else than numbers or takes more than
        `MAX_ARRAY_BYTES`.
      StorageError: it can't be read.
    """
    try:
        with files.storage_errors(f"reading {path}"), _members(path) as members:
            chosen = choose(list(members))
            check({name: _shape(path, name, members[name]) for name in chosen})
            return {name: _array(members[name]) for name in chosen}
    except errors.TfquarlError:
        raise
    except (
        Exception
    ) as error:  # damaged files make zipfile, zlib and numpy's parser of headers raise errors of all kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise errors.ConfigError(
            f"{path} is no readable .npz of numbers ({reason}); write it by numpy.savez"
        ) from error


@contextlib.contextmanager
def _members(path: pathlib.Path) -> Iterator[dict[str, _Member]]:
    with path.open("rb") as file:
        if file.read(len(npy_format.MAGIC_PREFIX)) == npy_format.MAGIC_PREFIX:
            yield {SINGLE: _Member(lambda: path.open("rb"), os.fstat(file.fileno()).st_size)}
            return
        with zipfile.ZipFile(file) as archive:
            yield {
                info.filename.removesuffix(".npy"): _Member(functools.partial(archive.open, info), info.file_size)
                for info in archive.infolist()
            }


def _shape(path: pathlib.Path, name: str, member: _Member) -> tuple[int, ...]:
    with member.open() as file:
        version = npy_format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"array '{name}' has a header of the version {version}")
        shape, _, dtype = _HEADERS[version](file)
    if dtype.kind not in "biuf" or min(shape, default=0) < 0:
        raise ValueError(f"array '{name}' is {dtype}{list(shape)}")
    there = math.prod(shape) * dtype.itemsize
    taken = max(there, 4 * math.prod(shape))
    if taken > MAX_ARRAY_BYTES:
        raise errors.ConfigError(
            f"{path}: array '{name}' of shape {list(shape)} takes {taken} bytes, at most {MAX_ARRAY_BYTES} are read; give fewer rows"
        )
    if there > member.size:
        raise ValueError(f"array '{name}' of shape {list(shape)} has {member.size} bytes")
    return shape


def _array(member: _Member) -> np.ndarray:
    with member.open() as file:
        return npy_format.read_array(file, allow_pickle=False).astype(np.float32)
