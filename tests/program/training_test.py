"""Tests of `tfquarl.program.training`: what becomes of an earlier summary. Whole runs are in tests/integration."""

import pytest

from tfquarl.core import errors
from tfquarl.program import gin_loading
from tfquarl.program import resumption
from tfquarl.program import run_directory
from tfquarl.program import training

_FILE = "configs/gin/experiments/dqn_cartpole_int8.gin"
_SUMMARY = {"status": "completed", "limits": {"num_env_steps": 1000}}


@pytest.fixture(scope="module")
def more():
    return gin_loading.load([_FILE], ["Experiment.num_env_steps = 2000"])


@pytest.fixture
def directory(tmp_path):
    """Of a run that has made its 1000 environment steps."""
    loaded = gin_loading.load([_FILE], ["Experiment.num_env_steps = 1000"])
    made = run_directory.RunDirectory(tmp_path / "run")
    made.create()
    made.write_configs(loaded.given, loaded.operative)
    made.write_summary(_SUMMARY)
    return made


def _fail(*arguments):
    raise errors.StorageError("no space")


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (run_directory.RunDirectory, "write_configs"),
        (run_directory.RunDirectory, "write_versions"),
        (training._Sinks, "begin"),
    ],
)
def test_a_completed_run_that_could_not_go_on_keeps_its_summary_and_can_go_on_later(
    directory, more, monkeypatch, owner, step
):
    monkeypatch.setattr(owner, step, _fail)
    with pytest.raises(errors.StorageError):
        training.run(more, str(directory.path))
    assert directory.read_summary() == _SUMMARY
    earlier = resumption.find(directory, more.experiment)
    assert earlier is not None and not earlier.is_complete(more.experiment)


def test_a_run_that_was_killed_as_it_went_on_is_not_complete(directory, more, monkeypatch):
    monkeypatch.setattr(training, "_run", _fail)  # which stands for SIGKILL: nothing writes a summary
    with pytest.raises(errors.StorageError):
        training.run(more, str(directory.path))
    earlier = resumption.find(directory, more.experiment)
    assert earlier is not None and earlier.status is None
