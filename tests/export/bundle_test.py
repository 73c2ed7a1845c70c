"""A bundle appears whole or not at all."""

import errno
import pathlib

import pytest

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.export import bundle


def _names(path: pathlib.Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_new_directory_is_made_with_its_parents(tmp_path: pathlib.Path):
    bundle.write_bundle(tmp_path / "a" / "b", {"x": "text", "y": b"bytes"}, overwrite=False)
    assert (tmp_path / "a" / "b" / "x").read_text() == "text"
    assert (tmp_path / "a" / "b" / "y").read_bytes() == b"bytes"
    assert _names(tmp_path / "a") == ["b"]


def test_an_empty_directory_is_used(tmp_path: pathlib.Path):
    (tmp_path / "b").mkdir()
    bundle.write_bundle(tmp_path / "b", {"x": ""}, overwrite=False)
    assert _names(tmp_path / "b") == ["x"]


def test_files_are_kept_without_overwrite(tmp_path: pathlib.Path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(errors.ConfigError, match="has files in it; give a new directory, or --overwrite"):
        bundle.write_bundle(tmp_path, {"x": ""}, overwrite=False)
    assert _names(tmp_path) == ["mine"]


def test_overwrite_replaces_all_files(tmp_path: pathlib.Path):
    bundle.write_bundle(tmp_path / "b", {"old": ""}, overwrite=False)
    bundle.write_bundle(tmp_path / "b", {"new": ""}, overwrite=True)
    assert _names(tmp_path / "b") == ["new"]
    assert _names(tmp_path) == ["b"]


def test_a_file_in_the_way_is_refused(tmp_path: pathlib.Path):
    (tmp_path / "b").write_text("")
    with pytest.raises(errors.ConfigError, match="is a file"):
        bundle.check_output_dir(tmp_path / "b", overwrite=True)


def test_nothing_is_left_of_a_bundle_that_fails_half_way(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    bundle.write_bundle(tmp_path / "b", {"old": ""}, overwrite=False)
    write, written = files.write_atomically, []

    def write_one(path: pathlib.Path, content: str | bytes) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(files, "write_atomically", write_one)
    with pytest.raises(errors.StorageError, match="No space left on device"):
        bundle.write_bundle(tmp_path / "b", {"x": "", "y": ""}, overwrite=True)
    assert len(written) == 1
    assert _names(tmp_path) == ["b"]
    assert _names(tmp_path / "b") == ["old"]
