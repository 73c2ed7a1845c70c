"""Tests of `tfquarl.program.in_process`: runs of the shipped CartPole experiment, made small."""

import os

import pytest

from tfquarl.environments import registry
from tfquarl.program import budget as budget_lib
from tfquarl.program import gin_loading
from tfquarl.program import in_process
from tfquarl.program import run_directory
from tfquarl.testing import memory_metrics
from tfquarl.testing import train_process

_FILES = ["configs/gin/experiments/dqn_cartpole_int8.gin", "configs/gin/scale/debug.gin"]


class _Warnings:
    def __init__(self):
        self.lines = []

    def __call__(self, text, *values):
        self.lines.append(text % values)


@pytest.fixture
def warnings(monkeypatch):
    lines = _Warnings()
    monkeypatch.setattr(in_process.logging, "warning", lines)
    return lines.lines


def _run(path, num_env_steps, *bindings, interrupted=lambda: False):
    os.environ.setdefault("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
    experiment = gin_loading.load(_FILES, [*train_process.SMALL, *bindings]).experiment
    directory = run_directory.RunDirectory(path)
    directory.create()
    program = in_process.InProcessProgram(
        experiment, registry.spec("gym:CartPole-v1"), directory, memory_metrics.MemoryMetrics(), budget_lib.Progress()
    )
    status = program.run(budget_lib.Budget(num_env_steps, None, 1.0), interrupted)
    return status, program.progress


def test_a_last_policy_that_parity_keeps_back_is_no_interrupt(tmp_path, warnings):
    bindings = "ParityConfig.mean_q_error_share = -1.0", "ParityConfig.on_failure = 'keep'"
    status, progress = _run(tmp_path, 64, *bindings)
    assert status is budget_lib.Status.COMPLETED and progress.evaluations == []
    assert progress.num_parity_failures > 0
    assert [line for line in warnings if line.startswith("The last policy was not judged")] == warnings[-1:]


def test_a_damaged_replay_is_passed_over_and_costs_no_train_steps(tmp_path, warnings):
    _, first = _run(tmp_path, 80)
    (tmp_path / "replay" / "local.npz").write_bytes(b"PK\x03\x04 and no more")
    status, second = _run(tmp_path, 80)
    assert status is budget_lib.Status.COMPLETED
    assert len(warnings) == 1 and "replay/local.npz can't be read and is passed over" in warnings[0]
    assert second.train_steps == 2 * first.train_steps > 0
