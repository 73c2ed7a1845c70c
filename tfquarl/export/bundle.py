"""A directory that appears whole or not at all."""

from collections.abc import Mapping
import json
import os
import pathlib
import shutil
import tempfile

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import output_paths
from tfquarl.export import description

DESCRIPTION = "policy.json"
"""The file by which a directory is known as a bundle."""


def check_output_dir(path: pathlib.Path, overwrite: bool) -> None:
    """Checks, before any work, that a bundle may be written to `path`.

    Raises:
      ConfigError: it holds files that may not be overwritten, or no bundle, is none of a directory's paths, or is in a place that can't be
        written.
    """
    if path.exists() and not path.is_dir():
        raise errors.ConfigError(f"--output_dir={path} is a file; needs a directory that is new or empty")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise errors.ConfigError(
            f"--output_dir={path} has files in it; give a new directory, or --overwrite to replace them"
        )
    if path.is_dir() and any(path.iterdir()) and not _is_bundle(path):
        raise errors.ConfigError(
            f"--output_dir={path} has files in it that are no bundle's; --overwrite replaces bundles alone, give a new directory"
        )
    output_paths.check_directory("output_dir", path.absolute().parent if path.exists() else path)


def write_bundle(path: pathlib.Path, contents: Mapping[str, bytes | str], overwrite: bool) -> None:
    """Writes all files to a new directory beside `path`, then puts it in the place of `path`.

    Args:
      path: of the bundle.
      contents: of each file, by name.
      overwrite: whether another bundle is replaced, with all that is in its directory.

    Raises:
      ConfigError: `path` holds files that may not be overwritten.
      StorageError: a file can't be written; what was at `path` is untouched.
    """
    check_output_dir(path, overwrite)
    path = path.absolute()
    with files.storage_errors(f"writing the bundle {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            os.chmod(temporary, 0o755)
            new = temporary / "new"
            new.mkdir()
            for name, content in contents.items():
                files.write_atomically(new / name, content)
            _replace(path, new, temporary / "old")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        files.sync(path.parent)


def _is_bundle(path: pathlib.Path) -> bool:
    try:
        value = json.loads(files.read_bytes(path / DESCRIPTION, files.MAX_JSON_BYTES))
    except (errors.TfquarlError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and str(value.get("format")).startswith(f"{description.KIND}/")


def _replace(path: pathlib.Path, new: pathlib.Path, old: pathlib.Path) -> None:
    """Puts `new` in the place of `path`, and what was there at `old`; where that fails, nothing has changed."""
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except BaseException:  # Ctrl-C too
        if old.exists() and not path.exists():
            old.rename(path)
        raise
