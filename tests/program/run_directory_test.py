"""Tests of `tfquarl.program.run_directory`."""

import datetime
import errno
import json
import math
import os
import subprocess
import sys

import pytest

from tfquarl.core import errors
from tfquarl.program import run_directory

_HOLDER = """
import sys
from tfquarl.program import run_directory
with run_directory.RunDirectory(sys.argv[1]).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path):
    directory = run_directory.RunDirectory(tmp_path / "runs" / "a")
    directory.create()
    return directory


def test_create_lays_out_and_explains_the_directory(run):
    assert sorted(os.listdir(run.path)) == ["README.txt", "checkpoints", "logs", "policies", "replay"]
    assert run_directory.log_file("collector_0").as_posix() == "logs/collector_0.log"


def test_every_file_that_is_written_is_explained(run):
    run.write_configs("given", "operative")
    run.write_versions(seed=1, command=["train"])
    run.write_summary({})
    run.key()
    with run.lock():
        pass
    explained = (run.path / "README.txt").read_text()

    for name in set(os.listdir(run.path)) - {"README.txt"} | {run.metrics_file.name}:
        assert f"\n{name}" in explained


def test_create_keeps_what_is_there(run):
    (run.checkpoints / "ckpt-1").write_text("x")
    run.create()

    assert (run.checkpoints / "ckpt-1").read_text() == "x"


@pytest.mark.parametrize(
    ("names", "is_of_others"),
    [
        pytest.param([], False, id="empty"),
        pytest.param(["README.txt"], True, id="a_readme_of_the_users"),
        pytest.param(["thesis.tex"], True, id="other_files"),
        pytest.param([".git/"], True, id="a_hidden_directory"),
        pytest.param(["README.txt/"], True, id="a_directory_called_readme"),
    ],
)
def test_what_others_have_put_there_is_known_from_a_run(tmp_path, names, is_of_others):
    for name in names:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("notes\n")

    assert run_directory.RunDirectory(tmp_path).is_of_others() == is_of_others


def test_a_run_that_was_killed_at_its_very_beginning_is_no_work_of_others(run):
    assert not run.is_of_others()
    assert not run_directory.RunDirectory(run.path / "new").is_of_others()


@pytest.mark.parametrize("below", ["", "deeper/still"], ids=["itself", "below"])
def test_a_file_in_its_place_is_one_clear_error(tmp_path, below):
    (tmp_path / "a").write_text("")

    with pytest.raises(errors.StorageError, match=r"making the run directory .*a.* failed"):
        run_directory.RunDirectory(tmp_path / "a" / below).create()


def test_versions_tell_what_the_run_was_made_with(run):
    run.write_versions(seed=7, command=["train", "--gin_file=a.gin"])
    versions = json.loads((run.path / "versions.json").read_text())

    assert set(versions) == {"packages", "commit", "seed", "command", "machine"}
    assert (versions["seed"], versions["command"]) == (7, ["train", "--gin_file=a.gin"])


def test_configs_are_kept_as_given_and_as_used(run):
    run.write_configs("A.b = 1", "A.b = 1\nA.c = 2")

    assert (run.path / "config.gin").read_text() == "A.b = 1"
    assert (run.path / "operative_config.gin").read_text() == "A.b = 1\nA.c = 2"


def test_summary_comes_back_with_null_for_nan(run):
    run.write_summary({"status": "completed", "int8": {"mean_return": 480.5, "interval": (math.nan, math.inf)}})

    assert run.read_summary() == {"status": "completed", "int8": {"mean_return": 480.5, "interval": [None, None]}}


def test_a_missing_summary_is_a_config_error(run):
    with pytest.raises(errors.ConfigError, match=r"summary.json can't be read .* run that has ended"):
        run.read_summary()


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_damaged_summary_is_an_artifact_error(run, text):
    run.summary_file.write_text(text)

    with pytest.raises(errors.ArtifactError, match=r"summary.json is not a JSON object"):
        run.read_summary()


def test_another_process_keeps_the_directory_locked_until_it_ends(run):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout.readline() == b"locked\n"

    with pytest.raises(errors.ConfigError, match=f"in use by the run of process {holder.pid}"), run.lock():
        pass
    holder.kill()
    holder.communicate()

    with run.lock():
        assert (run.path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_directory_in_use_is_not_removed(run):
    with run.lock(), pytest.raises(errors.ConfigError, match="in use by the run"):
        run_directory.RunDirectory(run.path).remove()
    assert run.checkpoints.exists()

    run.remove()
    assert not run.path.exists()


def test_a_lock_is_free_again_after_an_error(run):
    with pytest.raises(KeyError), run.lock():
        raise KeyError
    with run.lock():
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK], ids=["lustre", "nfs"])
def test_a_file_system_without_locks_is_a_storage_error(run, monkeypatch, number):
    def flock(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(run_directory.fcntl, "flock", flock)
    with pytest.raises(errors.StorageError, match=f"locking .*lock failed: {os.strerror(number)}"), run.lock():
        pass


def test_locking_a_missing_directory_is_a_storage_error(tmp_path):
    with pytest.raises(errors.StorageError, match="locking"), run_directory.RunDirectory(tmp_path / "x").lock():
        pass


def test_default_path_tells_date_and_experiment():
    path = run_directory.default_path("dqn cartpole/int8", datetime.datetime(2026, 1, 2, 3, 4, 5))

    assert str(path) == "runs/2026-01-02_03-04-05_dqn_cartpole_int8"


def test_the_key_stays_the_same_and_is_for_its_owner_alone(run):
    assert len(run.key()) == 32
    assert run.key() == run_directory.RunDirectory(run.path).key()
    assert (run.path / ".key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        pytest.param(b"", 0o600, "0 bytes, needs 16 or more", id="empty"),
        pytest.param(b"k" * 32, 0o666, "its mode is 0666, so that others may read or write it", id="open to all"),
    ],
)
def test_a_key_that_is_none_is_refused(run, content, mode, message):
    (run.path / ".key").write_bytes(content)
    (run.path / ".key").chmod(mode)
    with pytest.raises(errors.ConfigError, match=message):
        run.key()


def test_white_space_at_the_ends_of_a_runs_key_counts(run):
    key = b" " + bytes(30) + b"\n"
    (run.path / ".key").write_bytes(key)
    (run.path / ".key").chmod(0o600)
    assert run.key() == key


def test_a_summary_is_away_while_the_run_goes_on_until_another_takes_its_place(run):
    run.set_summary_aside()  # of a new run, which has none
    run.write_summary({"status": "completed"})
    run.set_summary_aside()
    assert not run.summary_file.exists()
    run.write_summary({"status": "failed"})
    assert run.read_summary() == {"status": "failed"}
    assert [path.name for path in run.path.glob("*summary*")] == ["summary.json"]


def test_a_summary_is_back_where_none_can_take_its_place(run, monkeypatch):
    def write_json(path, value):
        raise errors.StorageError(f"writing {path} failed")

    run.write_summary({"status": "completed"})
    run.set_summary_aside()
    monkeypatch.setattr(run_directory.files, "write_json", write_json)
    with pytest.raises(errors.StorageError):
        run.write_summary({"status": "failed"})
    assert run.read_summary() == {"status": "completed"}
