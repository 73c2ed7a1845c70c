"""Bad surroundings: a full disk, a read-only one, no permission, files deleted underneath, a clock that jumps, no /dev/shm."""

import ctypes
import json
import math
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import pytest
import tensorflow as tf

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.learner import checkpointing
from tfquarl.learner import learner_config
from tfquarl.learner import policy_learner
from tfquarl.metrics import jsonl
from tfquarl.metrics import logger
from tfquarl.program import archive
from tfquarl.program import run_directory
from tfquarl.testing import learner_fakes
from tfquarl.testing import train_process

_DISK_BYTES = 1 << 20
_MS_RDONLY, _MS_REMOUNT, _MNT_DETACH = 1, 32, 2


class _Disk:
    """A small file system of its own, in memory."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        path.mkdir()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._mount(0, f"size={_DISK_BYTES}")

    def _mount(self, flags: int, options: str) -> None:
        if self._libc.mount(b"tmpfs", str(self.path).encode(), b"tmpfs", flags, options.encode()):
            pytest.skip(f"no file system can be mounted here: {os.strerror(ctypes.get_errno())}")

    def fill(self) -> None:
        """Takes all the room that is left."""
        with (self.path / "filler").open("wb", buffering=0) as file:
            for size in (4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def make_read_only(self) -> None:
        """From now on nothing can be written."""
        self._mount(_MS_REMOUNT | _MS_RDONLY, f"size={_DISK_BYTES}")

    def close(self) -> None:
        """Takes it away."""
        self._libc.umount2(str(self.path).encode(), _MNT_DETACH)


@pytest.fixture
def disk(tmp_path):
    disk = _Disk(tmp_path / "disk")
    yield disk
    disk.close()


class _Verdict:
    def to_json(self):
        return {"confirmed": True, "quantized": {"mean_return": 1.0}}


def _artifact(version: int, size: int = 100) -> records.PolicyArtifact:
    return records.PolicyArtifact(version, version, "static_wi8_ai8", bytes(size), {})


def _checkpoints(directory: pathlib.Path) -> tuple[Any, checkpointing.Checkpointing]:
    module: Any = tf.Module("module")
    module.weights = tf.Variable(tf.zeros([20_000]))
    return module, checkpointing.Checkpointing(directory, {"module": module}, {})


def test_a_full_disk_costs_no_checkpoint_that_was_whole(disk: _Disk):
    module, checkpoints = _checkpoints(disk.path / "checkpoints")
    module.weights.assign(tf.ones([20_000]))
    whole = checkpoints.save(1)
    disk.fill()
    module.weights.assign(tf.fill([20_000], 2.0))
    with pytest.raises(errors.StorageError, match=r"writing checkpoint 2 in .* failed: .*; is there space"):
        checkpoints.save(2)
    module, checkpoints = _checkpoints(disk.path / "checkpoints")
    assert checkpoints.restore() == whole
    assert module.weights.numpy().tolist() == [1.0] * 20_000


def test_a_full_disk_costs_no_policy_that_was_kept(disk: _Disk):
    kept = archive.PolicyArchive(disk.path)
    kept.save(_artifact(1), _artifact(1), _Verdict())
    disk.fill()
    with pytest.raises(errors.StorageError, match="No space left on device"):
        kept.save(_artifact(2, 50_000), _artifact(2), _Verdict())
    assert kept.versions() == [1]
    assert archive.load(disk.path, "best") == archive.load(disk.path, "latest") == _artifact(1)


def test_a_full_disk_costs_no_row_of_metrics_that_was_written(disk: _Disk):
    with pytest.raises(errors.StorageError, match="No space left on device"), logger.RunMetrics(disk.path) as metrics:
        metrics.write("train", 1, {"Losses/loss": 0.5})
        disk.fill()
        for step in range(2, 10_000):
            metrics.write("train", step, {"Losses/loss": 0.5})
    steps = [row.step for row in jsonl.read_rows(disk.path / "metrics.jsonl")]
    assert steps == list(range(1, len(steps) + 1)) and steps


def test_a_summary_stays_when_the_disk_is_full(disk: _Disk):
    path = disk.path / "summary.json"
    files.write_json(path, {"status": "completed"})
    disk.fill()
    with pytest.raises(
        errors.StorageError, match=r"writing .*summary.json failed: No space left on device; is there space"
    ):
        files.write_json(path, {"status": "failed", "reason": "x" * 10_000})
    assert json.loads(path.read_text()) == {"status": "completed"}


def test_a_read_only_disk_is_one_clear_line(disk: _Disk):
    directory = run_directory.RunDirectory(disk.path / "run")
    disk.make_read_only()
    with pytest.raises(
        errors.StorageError, match=r"making the run directory .* failed: Read-only file system; is there"
    ):
        directory.create()


def test_a_run_needs_no_shared_memory_and_says_whom_it_is_open_to(tmp_path: pathlib.Path):
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this system gives no process mounts of its own")
    command = [sys.executable, "-m", "tools.train", "--gin_file=configs/gin/experiments/dqn_cartpole_int8.gin"]
    bindings = (*train_process.SMALL, "Experiment.num_env_steps = 200")
    command += [f"--gin_bindings={binding}" for binding in bindings]
    command += ["--bind_address=0.0.0.0", f"--root_dir={tmp_path / 'run'}"]
    hide = 'mount -t tmpfs -o ro,size=4k none /dev/shm && exec "$@"'
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([os.getcwd(), *sys.path]))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide, "sh", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "completed after" in done.stdout
    assert "warning: the Reverb server listens on every network interface" in done.stdout + done.stderr


def test_missing_permission_is_one_clear_line(tmp_path: pathlib.Path):
    if os.getuid() != 0:
        pytest.skip("only root can become another user, who may not write here")
    script = (
        "import os, sys; from tfquarl.core import errors; from tfquarl.program import run_directory\n"
        "try:\n    os.setgid(65534); os.setuid(65534)\nexcept OSError:\n    sys.exit(4)\n"
        "try:\n    run_directory.RunDirectory(sys.argv[1]).create()\n"
        "except errors.StorageError as error:\n    print(error)\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([os.getcwd(), *sys.path]))
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 4:
        pytest.skip("there is no other user here, as in a sandbox")
    assert done.returncode == 0, done.stderr
    assert "failed: Permission denied; is there space, and may you write there?" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_metrics_that_are_deleted_underneath_are_one_clear_line(tmp_path: pathlib.Path):
    with logger.RunMetrics(tmp_path) as metrics:
        metrics.write("train", 1, {"Losses/loss": 0.5})
        (tmp_path / "metrics.jsonl").unlink()
        with pytest.raises(errors.StorageError, match=r"metrics.jsonl failed: it was deleted while the run goes on"):
            metrics.write("train", 2, {"Losses/loss": 0.5})


@pytest.mark.parametrize("deleted", ["policies/1/evaluation.json", "policies/best", "policies/latest", "policies"])
def test_policies_are_kept_on_after_files_were_deleted_underneath(tmp_path: pathlib.Path, deleted: str):
    kept = archive.PolicyArchive(tmp_path)
    kept.save(_artifact(1), _artifact(1), _Verdict())
    path = tmp_path / deleted
    if path.is_dir() and not path.is_symlink():
        path.rename(tmp_path / "gone")
    else:
        path.unlink()
    kept.save(_artifact(2), _artifact(2), _Verdict())
    assert archive.load(tmp_path, "best").version == archive.load(tmp_path, "latest").version == 2


def test_checkpoints_are_written_on_after_their_directory_was_deleted(tmp_path: pathlib.Path):
    _, checkpoints = _checkpoints(tmp_path / "checkpoints")
    checkpoints.save(1)
    (tmp_path / "checkpoints").rename(tmp_path / "gone")
    whole = checkpoints.save(2)
    _, again = _checkpoints(tmp_path / "checkpoints")
    assert again.restore() == whole


@pytest.mark.parametrize("jump_sec", [-1e6, 1e6], ids=["back", "forward"])
def test_a_clock_that_jumps_makes_no_time_negative(monkeypatch: pytest.MonkeyPatch, jump_sec: float):
    learner = policy_learner.PolicyLearner(
        learner_fakes.FakeTrainer(), learner_fakes.fake_dataset([[8.0]], rounds=3), learner_config.LearnerConfig()
    )
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump_sec)
    report = learner.train(5)
    assert report.num_steps == 3 and report.is_starved
    assert 0 <= report.wait_sec < math.inf and report.elapsed_sec > 0
    assert not learner.cancel_if_starved(60.0)
