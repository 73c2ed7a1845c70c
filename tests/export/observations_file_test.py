"""Files of observations, good and bad."""

import pathlib

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.export import observations_file

_GOOD = np.arange(64.0).reshape(32, 2)


def _write(path: pathlib.Path, **arrays: np.ndarray) -> pathlib.Path:
    np.savez(path, **arrays)
    return path


def test_an_npz_is_read_as_float32(tmp_path: pathlib.Path):
    got = observations_file.read_observations(_write(tmp_path / "o.npz", observations=_GOOD, other=_GOOD[:1]), 2)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, _GOOD)


def test_an_npy_is_read(tmp_path: pathlib.Path):
    np.save(tmp_path / "o.npy", _GOOD)
    np.testing.assert_array_equal(observations_file.read_observations(tmp_path / "o.npy", 2), _GOOD)


def _missing(path: pathlib.Path) -> pathlib.Path:
    return path / "none.npz"


def _damaged(path: pathlib.Path) -> pathlib.Path:
    whole = _write(path / "o.npz", observations=_GOOD).read_bytes()
    (path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    return path / "cut.npz"


def _objects(path: pathlib.Path) -> pathlib.Path:
    return _write(path / "o.npz", observations=np.asarray([{}, {}], object))


def _two_arrays(path: pathlib.Path) -> pathlib.Path:
    return _write(path / "o.npz", a=_GOOD, b=_GOOD)


def _another_name(path: pathlib.Path) -> pathlib.Path:
    return _write(path / "o.npz", obs=_GOOD)


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (_missing, "no such file"),
        (_damaged, "no readable .npz"),
        (_objects, "no readable .npz"),
        (_two_arrays, "holds a, b; needs an array named 'observations'"),
        (_another_name, "holds obs; needs an array named 'observations'"),
    ],
    ids=["missing", "truncated", "pickled objects", "two arrays", "another name"],
)
def test_files_that_cannot_be_used(tmp_path: pathlib.Path, write, complaint: str):
    with pytest.raises(errors.ConfigError, match=complaint):
        observations_file.read_observations(write(tmp_path), 2)
