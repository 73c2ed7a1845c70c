"""Tests of `tfquarl.metrics.event_files`."""

import math
import os
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing import directory_watcher
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import event_file_loader
from tensorboard.backend.event_processing import io_wrapper
from tensorboard.compat import tensorflow_stub

from tfquarl.core import errors
from tfquarl.metrics import event_files


@pytest.fixture(autouse=True)
def _without_tensorflow(monkeypatch):
    """TensorBoard reads by its own stand-in for TensorFlow, as where that is not installed: to import it takes seconds."""
    for module in (directory_watcher, event_file_loader, io_wrapper):
        monkeypatch.setattr(module, "tf", tensorflow_stub)


def _read(directory):
    accumulator = event_accumulator.EventAccumulator(str(directory))
    accumulator.Reload()
    return accumulator


def test_tensorboard_reads_scalars_with_step_and_wall_time(tmp_path):
    writer = event_files.EventFileWriter(tmp_path / "train")
    writer.write(10, {"Losses/loss": 0.5, "RunTime/train_steps_per_sec": 200}, wall_time_sec=1000.25)
    writer.write(20, {"Losses/loss": 0.25}, wall_time_sec=1001.5)
    writer.close()

    events = _read(tmp_path / "train").Scalars("Losses/loss")
    assert [(event.step, event.value, event.wall_time) for event in events] == [(10, 0.5, 1000.25), (20, 0.25, 1001.5)]
    assert _read(tmp_path / "train").Scalars("RunTime/train_steps_per_sec")[0].value == 200.0


def test_flushed_scalars_are_read_while_the_file_is_open(tmp_path):
    writer = event_files.EventFileWriter(tmp_path)
    writer.write(1, {"a": 1.0}, wall_time_sec=1.0)
    writer.flush()

    assert _read(tmp_path).Scalars("a")[0].value == 1.0
    writer.close()


def test_nan_stays_nan(tmp_path):
    writer = event_files.EventFileWriter(tmp_path)
    writer.write(1, {"a": math.nan}, wall_time_sec=1.0)
    writer.close()

    assert math.isnan(_read(tmp_path).Scalars("a")[0].value)


def test_two_writers_of_one_directory_have_a_file_each(tmp_path):
    writers = [event_files.EventFileWriter(tmp_path) for _ in range(2)]
    for writer in writers:
        writer.close()
        writer.close()

    assert len(os.listdir(tmp_path)) == 2


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path):
    (tmp_path / "train").write_text("")

    with pytest.raises(errors.StorageError, match=r"making .*train.* failed"):
        event_files.EventFileWriter(tmp_path / "train")


def test_importing_and_writing_does_not_import_tensorflow(tmp_path):
    program = (
        "import pathlib, sys\n"
        "from tfquarl.metrics import event_files\n"
        f"writer = event_files.EventFileWriter(pathlib.Path({str(tmp_path)!r}))\n"
        "writer.write(1, {'a': 1.0}, 1.0)\n"
        "writer.close()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
