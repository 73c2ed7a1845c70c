"""Runs of real processes whose nodes do next to nothing: how a run starts, ends and fails."""

import os

import psutil
import pytest

from tfquarl.core import errors
from tfquarl.program import budget as budget_lib
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.program import supervisor as supervisor_lib
from tfquarl.testing import nodes

_SERVER = node_process.NodeSpec("server", nodes.server)
_LEARNER = node_process.NodeSpec("learner", nodes.learner)
_COLLECTOR = node_process.NodeSpec("collector_0", nodes.collector)
_SECOND_COLLECTOR = node_process.NodeSpec("collector_1", nodes.collector, index=1)
_EVALUATOR = node_process.NodeSpec("evaluator", nodes.evaluator)
_UNREACHABLE = 10**9


class _Metrics:
    def __init__(self):
        self.rows = []

    def write(self, group, step, values):
        self.rows.append((group, step, values))


class _Run:
    """A supervisor over real processes, and what it left behind."""

    def __init__(self, tmp_path, specs, num_env_steps=_UNREACHABLE, stop_at_return=None, interrupted=lambda: False):
        os.makedirs(tmp_path / "logs")
        self.metrics = _Metrics()
        self.launcher = launcher_lib.LocalLauncher(None, None, str(tmp_path))
        budget = budget_lib.Budget(num_env_steps, stop_at_return, final_evaluation_sec=20.0)
        self.supervisor = supervisor_lib.Supervisor(
            self.launcher, specs, budget, budget_lib.Progress(), self.metrics, interrupted
        )

    def processes_left(self):
        return [node.spec.name for node in self.launcher.nodes if psutil.pid_exists(node.process.pid)]


def test_ends_at_the_step_budget_with_the_last_policy_judged(tmp_path):
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, _SECOND_COLLECTOR, _EVALUATOR], num_env_steps=200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    progress = run.supervisor.progress
    assert progress.total_env_steps >= 200
    assert set(progress.env_steps) == {0, 1}
    assert (progress.final_version, progress.train_steps) == (7, 30)
    assert progress.is_judged(7)
    assert ("train", 3, {"Losses/loss": 0.5}) in run.metrics.rows
    assert run.processes_left() == []


@pytest.mark.parametrize(
    ("stop_at_return", "status"),
    [
        pytest.param(475.0, budget_lib.Status.TARGET_REACHED, id="reached"),
        pytest.param(490.0, budget_lib.Status.COMPLETED, id="not_reached"),
    ],
)
def test_stop_at_return(tmp_path, stop_at_return, status):
    specs = [_SERVER, _LEARNER, _COLLECTOR, _EVALUATOR]
    run = _Run(tmp_path, specs, num_env_steps=2000, stop_at_return=stop_at_return)
    assert run.supervisor.run() is status


def test_an_interrupt_ends_it_even_when_a_node_does_not_listen(tmp_path):
    stubborn = node_process.NodeSpec("server", nodes.stubborn)
    calls = iter([False] * 4)
    run = _Run(tmp_path, [stubborn, _LEARNER], interrupted=lambda: next(calls, True))
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.final_version == 7
    assert run.processes_left() == []


@pytest.mark.parametrize(
    ("node", "message"),
    [
        pytest.param(nodes.failing, "collector_0: environment 'x' has no action 'y'", id="error"),
        pytest.param(nodes.crashing, "collector_0: exit code -9", id="killed"),
    ],
)
def test_a_node_that_dies_ends_the_run_with_its_reason_and_log(tmp_path, node, message):
    run = _Run(tmp_path, [_SERVER, _LEARNER, node_process.NodeSpec("collector_0", node)])
    with pytest.raises(errors.NodeFailedError, match=message) as caught:
        run.supervisor.run()
    assert "logs/collector_0.log" in str(caught.value)
    assert run.processes_left() == []


def test_the_traceback_of_an_error_is_in_the_nodes_log(tmp_path):
    run = _Run(tmp_path, [_SERVER, node_process.NodeSpec("collector_0", nodes.failing)])
    with pytest.raises(errors.NodeFailedError):
        run.supervisor.run()
    assert "TaskError: environment 'x'" in (tmp_path / "logs" / "collector_0.log").read_text()
