"""Observations in .npz and .npy files."""

import pathlib
from typing import Any
import zipfile

import numpy as np

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.export import candidate

KEY = "observations"


def read_observations(path: pathlib.Path, size: int) -> np.ndarray:
    """Observations float32 [N, `size`] from an .npz with the array 'observations' or from an .npy.

    Raises:
      ConfigError: no such file or array, or observations that can't be used.
      StorageError: it can't be read.
    """
    if not path.is_file():
        raise errors.ConfigError(f"{path}: no such file; needs an .npz with an array '{KEY}' of shape [N, {size}]")
    try:
        with files.storage_errors(f"reading {path}"), path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            array = loaded if isinstance(loaded, np.ndarray) else _named_array(loaded, path)
            observations = np.asarray(array).astype(np.float32)
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise errors.ConfigError(f"{path} is no readable .npz of numbers ({error}); write it by numpy.savez") from error
    candidate.check_observations(observations, size, f"observations of {path}")
    return observations


def _named_array(archive: Any, path: pathlib.Path) -> np.ndarray:
    if KEY in archive.files:
        return archive[KEY]
    raise errors.ConfigError(f"{path} holds {', '.join(archive.files) or 'no array'}; needs an array named '{KEY}'")
