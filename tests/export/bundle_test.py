"""A bundle appears whole or not at all."""

import errno
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.export import bundle

_ROOT = pathlib.Path(bundle.__file__).parents[2]
_OLD = {"policy.json": '{"format": "tfquarl-policy-bundle/1"}', "old": "old"}


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
    bundle.write_bundle(tmp_path / "b", _OLD, overwrite=False)
    bundle.write_bundle(tmp_path / "b", {"new": ""}, overwrite=True)
    assert _names(tmp_path / "b") == ["new"]
    assert _names(tmp_path) == ["b"]


@pytest.mark.parametrize(
    "contents",
    [
        {"policies/best/policy.tflite": "", "summary.json": "{}"},
        {"policy.json": '{"format": "something else"}'},
        {"policy.json": "[]"},
        {"policy.json": "junk"},
    ],
    ids=["a run", "another format", "no object", "no JSON"],
)
def test_overwrite_replaces_nothing_but_bundles(tmp_path: pathlib.Path, contents: dict[str, str]):
    for name, text in contents.items():
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).write_text(text)
    with pytest.raises(
        errors.ConfigError, match="has files in it that are no bundle's; --overwrite replaces bundles alone"
    ):
        bundle.write_bundle(tmp_path / "b", {"new": ""}, overwrite=True)
    assert all((tmp_path / "b" / name).read_text() == text for name, text in contents.items())


def test_a_file_in_the_way_is_refused(tmp_path: pathlib.Path):
    (tmp_path / "b").write_text("")
    with pytest.raises(errors.ConfigError, match="is a file"):
        bundle.check_output_dir(tmp_path / "b", overwrite=True)


def test_a_place_that_is_no_directory_is_told_before_any_work(tmp_path: pathlib.Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.ConfigError, match=r"can't be made: .*file is no directory"):
        bundle.check_output_dir(tmp_path / "file" / "b" / "c", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_may_not_be_written_is_told_before_any_work(tmp_path: pathlib.Path):
    tmp_path.chmod(0o500)
    with pytest.raises(errors.ConfigError, match="takes no files"):
        bundle.check_output_dir(tmp_path / "b", overwrite=False)


@pytest.mark.parametrize("has_old", [False, True], ids=["new", "overwritten"])
@pytest.mark.parametrize("count", range(3))
def test_a_program_that_is_killed_while_it_writes_changes_nothing(tmp_path: pathlib.Path, count: int, has_old: bool):
    if has_old:
        bundle.write_bundle(tmp_path / "b", _OLD, overwrite=False)
    program = f"""
import os, pathlib, signal
from tfquarl.core import files
from tfquarl.export import bundle

write, written = files.write_atomically, []

def write_and_die(path, content):
    if len(written) == {count}:
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(path)
    write(path, content)

files.write_atomically = write_and_die
bundle.write_bundle(pathlib.Path({str(tmp_path / "b")!r}), {{"x": "", "y": "", "z": ""}}, overwrite=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=120)
    assert done.returncode == -signal.SIGKILL
    if has_old:
        assert _names(tmp_path / "b") == ["old", "policy.json"]
    else:
        assert not (tmp_path / "b").exists()
    bundle.write_bundle(tmp_path / "b", {"x": ""}, overwrite=has_old)
    assert _names(tmp_path / "b") == ["x"]


def test_what_was_there_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    bundle.write_bundle(tmp_path / "b", _OLD, overwrite=False)
    rename = pathlib.Path.rename

    def interrupted(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bundle.write_bundle(tmp_path / "b", {"x": ""}, overwrite=True)
    assert _names(tmp_path) == ["b"]
    assert _names(tmp_path / "b") == ["old", "policy.json"]


def test_nothing_is_left_of_a_bundle_that_fails_half_way(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    bundle.write_bundle(tmp_path / "b", _OLD, overwrite=False)
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
    assert _names(tmp_path / "b") == ["old", "policy.json"]
