"""Places that a user wants results written to, tried before any work is done for them."""

import os
import pathlib
import tempfile

from tfquarl.core import errors


def check_file(flag: str, path: str | os.PathLike[str]) -> None:
    """Checks that the file `path`, the value of `flag`, can be written or replaced.

    Raises:
      ConfigError: it is a directory, its directory isn't there, or nothing can be written there.
    """
    _check(flag, path, pathlib.Path(path))


def check_page(flag: str, path: str | os.PathLike[str]) -> pathlib.Path:
    """The place of a page, which is several files whose names begin with `path`, the value of `flag`, once they can be written there.

    Raises:
      ConfigError: as `check_file`.
    """
    _check(flag, path, pathlib.Path(f"{os.fspath(path)}.md"))
    return pathlib.Path(path)


def check_directory(flag: str, path: str | os.PathLike[str]) -> None:
    """Checks that files can be written to the directory `path`, the value of `flag`, which may have yet to be made.

    Raises:
      ConfigError: it is a file or below one, or nothing can be written there.
    """
    if pathlib.Path(path).exists() and not pathlib.Path(path).is_dir():
        raise errors.ConfigError(f"--{flag}={path} is a file; needs a directory")
    whole = pathlib.Path(path).absolute()
    place = next(directory for directory in (whole, *whole.parents) if directory.exists())
    if not place.is_dir():
        raise errors.ConfigError(f"--{flag}={path} can't be made: {place} is no directory")
    _try(flag, path, place)


def _check(flag: str, path: str | os.PathLike[str], file: pathlib.Path) -> None:
    place = file.absolute().parent
    if file.is_dir():
        raise errors.ConfigError(f"--{flag}={path} is a directory; needs the name of a file")
    if not place.is_dir():
        raise errors.ConfigError(f"--{flag}={path}: there is no directory {place}; make it, or give another place")
    _try(flag, path, place)


def _try(flag: str, path: str | os.PathLike[str], place: pathlib.Path) -> None:
    """Makes a file in `place` and removes it: permissions alone don't tell of read-only file systems, or of /proc."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".tfquarl.", dir=place):
            pass
    except OSError as error:
        raise errors.ConfigError(
            f"--{flag}={path} can't be written: {place} takes no files ({error.strerror or error}); give another place"
        ) from error
