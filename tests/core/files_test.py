"""Tests of `tfquarl.core.files`."""

import errno
import json
import os

import pytest

from tfquarl.core import errors
from tfquarl.core import files


@pytest.mark.parametrize(
    "content, stored", [("né\n", "né\n".encode()), (b"\x00\x01", b"\x00\x01")], ids=["str", "bytes"]
)
def test_write_atomically_replaces_the_file(tmp_path, content, stored):
    path = tmp_path / "summary.json"
    path.write_text("old")

    files.write_atomically(path, content)

    assert path.read_bytes() == stored
    assert os.listdir(tmp_path) == ["summary.json"]


def test_write_atomically_leaves_the_old_file_when_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    path.write_text("old")

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(errors.StorageError, match=r"writing .*summary.json failed: No space left on device"):
        files.write_atomically(path, "new")

    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["summary.json"]


def test_write_atomically_names_the_missing_directory(tmp_path):
    with pytest.raises(errors.StorageError, match=r"no_such_directory.* failed: No such file or directory"):
        files.write_atomically(tmp_path / "no_such_directory" / "file", "")


def test_storage_errors_lets_other_errors_through():
    with pytest.raises(ValueError, match="other"), files.storage_errors("reading x"):
        raise ValueError("other")


def test_write_json_has_null_for_what_json_lacks(tmp_path):
    files.write_json(tmp_path / "a", {"a": [1, 2.5, float("nan")], "b": {"c": (float("-inf"), "x", None, True)}})

    assert json.loads((tmp_path / "a").read_text()) == {"a": [1, 2.5, None], "b": {"c": [None, "x", None, True]}}


def test_write_json_refuses_other_values(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        files.write_json(tmp_path / "a", {"a": object()})


def test_read_bytes_takes_no_memory_for_a_file_that_is_too_large(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"abc")
    assert files.read_bytes(path, 3) == b"abc"
    os.truncate(path, 3 << 40)  # a file with a hole: it takes no disk
    with pytest.raises(errors.ArtifactError, match=r"a.json has 3298534883328 bytes, at most 16777216 are read"):
        files.read_bytes(path, files.MAX_JSON_BYTES)


def test_read_bytes_names_a_missing_file(tmp_path):
    with pytest.raises(errors.StorageError, match=r"reading .*none failed: No such file"):
        files.read_bytes(tmp_path / "none", 3)
