"""Observations in .npz and .npy files."""

import pathlib

import numpy as np

from tfquarl.core import errors
from tfquarl.export import array_file
from tfquarl.export import candidate

KEY = "observations"


def read_observations(path: pathlib.Path, size: int) -> np.ndarray:
    """Observations float32 [N, `size`] from an .npz with the array 'observations' or from an .npy.

    Raises:
      ConfigError: no such file or array, one of more than `array_file.MAX_ARRAY_BYTES`, or observations that can't be used.
      StorageError: it can't be read.
    """
    if not path.is_file():
        raise errors.ConfigError(f"{path}: no such file; needs an .npz with an array '{KEY}' of shape [N, {size}]")
    arrays = array_file.read(path, lambda names: [_wanted(names, path)])
    (observations,) = arrays.values()
    candidate.check_observations(observations, size, f"observations of {path}")
    return observations


def _wanted(names: list[str], path: pathlib.Path) -> str:
    for name in (KEY, array_file.SINGLE):
        if name in names:
            return name
    raise errors.ConfigError(f"{path} holds {', '.join(names) or 'no array'}; needs an array named '{KEY}'")
