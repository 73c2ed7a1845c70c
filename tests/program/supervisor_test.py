"""Runs of real processes whose nodes do next to nothing: how a run starts, ends and fails."""

import functools
import itertools
import os
import types

import psutil
import pytest

from tfquarl.core import errors
from tfquarl.program import budget as budget_lib
from tfquarl.program import channel
from tfquarl.program import heartbeat
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.program import restarts
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


class _Display:
    def __init__(self):
        self.states = []
        self.awaited = []
        self.messages = []
        self.set_awaited = self.awaited.append
        self.message = self.messages.append

    def set_process(self, name, state):
        self.states.append((name, state))


class _Run:
    """A supervisor over real processes, and what it left behind.

    Args:
      interrupt_at: (name, state) of a node that Ctrl-C comes at; None for no Ctrl-C.
    """

    def __init__(
        self,
        tmp_path,
        specs,
        num_env_steps=_UNREACHABLE,
        stop_at_return=None,
        interrupt_at=None,
        max_wall_time_sec=None,
        port=0,
        final_evaluation_sec=20.0,
        **config,
    ):
        os.makedirs(tmp_path / "logs")
        self.metrics = _Metrics()
        self.display = _Display()
        self.states = self.display.states
        self.launcher = launcher_lib.LocalLauncher(None, None, str(tmp_path), ["tfquarl.testing.nodes"])
        budget = budget_lib.Budget(num_env_steps, stop_at_return, final_evaluation_sec, max_wall_time_sec)
        self.supervisor = supervisor_lib.Supervisor(
            self.launcher,
            specs,
            budget,
            budget_lib.Progress(),
            self.metrics,
            lambda: interrupt_at in self.states,
            self.display,
            config=restarts.SupervisionConfig(**{"first_backoff_sec": 0.01, **config}),
            port=port,
        )

    def processes_left(self):
        return [node.spec.name for node in self.launcher.nodes if node.is_alive]

    def states_of(self, name):
        return [state for node, state in self.states if node == name]


def test_ends_at_the_step_budget_with_the_last_policy_judged(tmp_path):
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, _SECOND_COLLECTOR, _EVALUATOR], num_env_steps=200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    progress = run.supervisor.progress
    assert progress.total_env_steps >= 200
    assert set(progress.env_steps) == {0, 1}
    assert (progress.final_version, progress.train_steps) == (7, 30)
    assert progress.is_judged(7)
    assert run.display.awaited == ["ending collectors and learner", "judging the last policy", "keeping the replay"]
    assert ("train", 3, {"Losses/loss": 0.5}) in run.metrics.rows
    assert run.processes_left() == []


def test_what_a_node_warns_of_is_told_with_its_name(tmp_path):
    talking = node_process.NodeSpec("learner", nodes.talking)
    run = _Run(tmp_path, [_SERVER, talking], max_deaths=0)
    with pytest.raises(errors.NodeFailedError):
        run.supervisor.run()
    assert run.display.messages == ["warning: learner: as a warning"]


def test_the_evaluator_is_told_that_training_has_ended(tmp_path):
    pausing = node_process.NodeSpec("evaluator", nodes.pausing_evaluator)
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, pausing], num_env_steps=200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.supervisor.progress.is_judged(7)


def test_an_evaluator_that_is_started_again_after_training_is_told_too(tmp_path):
    dying = node_process.NodeSpec("evaluator", nodes.dying_evaluator)
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, dying], num_env_steps=200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.supervisor.progress.num_restarts == {"evaluator": 1}
    assert run.supervisor.progress.is_judged(7)


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


def test_time_is_a_budget_too(tmp_path):
    specs = [_SERVER, _LEARNER, _COLLECTOR, _EVALUATOR]
    run = _Run(tmp_path, specs, max_wall_time_sec=0.001)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.supervisor.progress.is_judged(7)


def test_without_an_environment_step_no_verdict_is_waited_for(tmp_path):
    specs = [
        _SERVER,
        _LEARNER,
        node_process.NodeSpec("collector_0", nodes.idle),
        node_process.NodeSpec("evaluator", nodes.idle),
    ]
    run = _Run(tmp_path, specs, max_wall_time_sec=0.001)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.display.awaited == ["ending collectors and learner", "keeping the replay"]


def test_a_learner_that_has_made_its_last_step_ends_the_run(tmp_path):
    finished = node_process.NodeSpec("learner", nodes.finished_learner)
    run = _Run(tmp_path, [_SERVER, finished, _COLLECTOR, _EVALUATOR])
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.supervisor.progress.is_judged(7)


def test_a_learner_that_somebody_else_ends_is_started_again(tmp_path):
    terminated = node_process.NodeSpec("learner", nodes.terminated_learner)
    run = _Run(tmp_path, [_SERVER, terminated, _COLLECTOR], interrupt_at=("learner", "running"))
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.num_restarts == {"learner": 1}
    assert (run.supervisor.progress.final_version, run.supervisor.progress.train_steps) == (7, 30)


def test_the_state_of_each_node_is_told(tmp_path):
    # By an interrupt, as the collectors may use up a budget before the learner runs.
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, _EVALUATOR], interrupt_at=("learner", "running"))
    run.supervisor.run()
    assert run.states_of("learner") == ["starting", "running", "ending", "ended"]
    assert run.states[0] == ("server", "starting")


def test_the_evaluator_ends_after_the_learner(tmp_path):
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, _EVALUATOR], num_env_steps=200)
    run.supervisor.run()
    assert run.states.index(("learner", "ended")) < run.states.index(("evaluator", "ending"))


@pytest.mark.parametrize(
    ("interrupt_at", "final_version"),
    [
        pytest.param(("server", "starting"), None, id="while_the_server_starts"),
        pytest.param(("learner", "starting"), 7, id="before_the_learner_has_a_signal_handler"),
        pytest.param(("learner", "running"), 7, id="while_it_trains"),
    ],
)
def test_an_interrupt_ends_it_in_order(tmp_path, interrupt_at, final_version):
    run = _Run(tmp_path, [_SERVER, _LEARNER, _COLLECTOR, _EVALUATOR], interrupt_at=interrupt_at)
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.final_version == final_version
    assert run.processes_left() == []


def test_an_interrupt_while_nodes_are_started_starts_no_more_of_them(tmp_path):
    specs = [_SERVER, _LEARNER, _COLLECTOR, _SECOND_COLLECTOR, _EVALUATOR]
    run = _Run(tmp_path, specs, interrupt_at=("collector_0", "starting"))
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.final_version == 7
    assert run.states_of("collector_1") == run.states_of("evaluator") == []


def test_an_interrupt_of_the_final_evaluation_ends_it(tmp_path):
    specs = [_SERVER, _LEARNER, _COLLECTOR, node_process.NodeSpec("evaluator", nodes.idle)]
    run = _Run(tmp_path, specs, num_env_steps=200, interrupt_at=("learner", "ended"))
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.final_version == 7


@pytest.mark.parametrize("kind", ["server", "collector_0", "evaluator"])
def test_an_interrupt_ends_it_even_when_a_node_does_not_listen(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(supervisor_lib, "_INTERRUPTED_SEC", 1.0)
    specs = [_SERVER, _LEARNER, _COLLECTOR, _EVALUATOR]
    specs = [node_process.NodeSpec(kind, nodes.stubborn) if spec.name == kind else spec for spec in specs]
    run = _Run(tmp_path, specs, interrupt_at=("learner", "running"))
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.final_version == 7
    assert run.processes_left() == []


def test_a_signal_that_reaches_every_process_is_an_interrupt_and_no_failure(tmp_path):
    quitter = node_process.NodeSpec("collector_0", nodes.quitter)
    run = _Run(tmp_path, [_SERVER, _LEARNER, quitter, _EVALUATOR], interrupt_at=("collector_0", "running"))
    assert run.supervisor.run() is budget_lib.Status.INTERRUPTED
    assert run.supervisor.progress.final_version == 7


def test_what_a_node_leaves_behind_is_ended_with_it(tmp_path):
    parent = node_process.NodeSpec("collector_0", nodes.parent)
    run = _Run(tmp_path, [_SERVER, _LEARNER, parent, _EVALUATOR], num_env_steps=1)
    run.supervisor.run()
    child = next(values["child"] for _, _, values in run.metrics.rows if "child" in values)
    assert not psutil.pid_exists(int(child)) or psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("node", "message"),
    [
        pytest.param(nodes.failing, "collector_0: environment 'x' has no action 'y'", id="error"),
        pytest.param(nodes.crashing, "collector_0: exit code -9", id="killed"),
        pytest.param(nodes.quitter, "collector_0: exit code 0", id="gone_without_being_asked"),
    ],
)
def test_a_node_that_dies_too_often_ends_the_run_with_its_reason_and_log(tmp_path, node, message):
    run = _Run(tmp_path, [_SERVER, _LEARNER, node_process.NodeSpec("collector_0", node)], max_deaths=0)
    with pytest.raises(errors.NodeFailedError, match=message) as caught:
        run.supervisor.run()
    assert "logs/collector_0.log" in str(caught.value)
    assert run.processes_left() == []


def test_a_crash_loop_ends_the_run_with_what_it_died_of(tmp_path):
    run = _Run(tmp_path, [_SERVER, node_process.NodeSpec("collector_0", nodes.failing)], max_deaths=2)
    message = "collector_0: died 3 times within 300 s, the last time: environment 'x'"
    with pytest.raises(errors.NodeFailedError, match=message):
        run.supervisor.run()
    assert run.supervisor.progress.num_restarts == {"collector_0": 2}


@pytest.mark.parametrize(
    ("node", "message"),
    [
        pytest.param(nodes.misconfigured, "collector_0: the replay has other tables", id="misconfigured"),
        pytest.param(
            nodes.diskless, "collector_0: writing a checkpoint: No space left", id="with_no_space_for_its_log"
        ),
    ],
)
def test_an_error_that_a_new_start_does_not_mend_ends_the_run_at_once(tmp_path, node, message):
    run = _Run(tmp_path, [_SERVER, node_process.NodeSpec("collector_0", node)])
    with pytest.raises(errors.NodeFailedError, match=message):
        run.supervisor.run()
    assert run.supervisor.progress.num_restarts == {}


class _Deadlines(heartbeat.Deadlines):
    """Of a clock that stands still, but for a second whenever all others have been heard of while the collector is silent.

    However slow the machine is, this makes nobody late who sends heartbeats.
    """

    def __init__(self, is_silent, timeout_sec):
        self._now, self._awake, self._is_silent = 0.0, set(), is_silent
        super().__init__(timeout_sec, clock=lambda: self._now)

    def heard(self, name):
        super().heard(name)
        if self._is_silent():
            self._awake.add(name)
        if self._awake >= {"server", "learner", "evaluator"}:
            self._awake.clear()
            self._now += 1.0


@pytest.mark.parametrize(
    ("node", "config"),
    [
        pytest.param(nodes.dying_collector, {}, id="killed"),
        pytest.param(nodes.hanging_collector, {"heartbeat_timeout_sec": 3.0}, id="hung"),
    ],
)
def test_a_collector_that_dies_is_started_again_and_counts_on(tmp_path, monkeypatch, node, config):
    def is_silent():
        return ("collect/0", 30) in [row[:2] for row in run.metrics.rows] and "waiting" not in run.states_of(
            "collector_0"
        )

    monkeypatch.setattr("tfquarl.program.crew.heartbeat.Deadlines", functools.partial(_Deadlines, is_silent))
    specs = [_SERVER, _LEARNER, node_process.NodeSpec("collector_0", node), _EVALUATOR]
    run = _Run(tmp_path, specs, num_env_steps=60, **config)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    progress = run.supervisor.progress
    steps = [step for group, step, _ in run.metrics.rows if group == "collect/0"]
    assert steps[:4] == [30, 40, 50, 60]
    assert progress.num_restarts == {"collector_0": 1}
    assert [values for group, _, values in run.metrics.rows if group == "run"] == [{"Restarts/collector_0": 1}]
    assert run.states_of("collector_0")[:3] == ["starting", "waiting", "starting"]
    assert run.processes_left() == []


class _TalkingNodes:
    """A launcher of nodes that say something whenever they are asked."""

    def __init__(self):
        self.nodes, self.killed = [], []
        self.open = lambda wanted: True
        self.has_fork_server = lambda: True
        self.wait = self.stop = self.kill_all = lambda *arguments: None
        self.close = lambda: None
        self.kill_named = self.killed.append

    def start(self, spec, server_address, start):
        self.nodes.append(types.SimpleNamespace(spec=spec, is_alive=True))

    def receive(self):
        for node in self.nodes:
            yield node, channel.Message("ready", {"address": "localhost:1"})
            yield node, channel.Message("metrics", {"group": "run", "step": 0, "values": {}})


@pytest.mark.parametrize("where", ["terminal", "metrics"])
def test_what_holds_the_launcher_up_makes_no_node_look_hung(monkeypatch, where):
    now, ticks = [0.0], itertools.count()
    monkeypatch.setattr(
        "tfquarl.program.crew.heartbeat.Deadlines",
        functools.partial(heartbeat.Deadlines, clock=lambda: now[0]),
    )

    def stall(*arguments):
        now[0] += 1000.0

    metrics, launcher = _Metrics(), _TalkingNodes()
    if where == "metrics":
        metrics.write = stall
    supervisor = supervisor_lib.Supervisor(
        launcher,
        [_SERVER, _LEARNER, _COLLECTOR],
        budget_lib.Budget(_UNREACHABLE, None, 20.0),
        budget_lib.Progress(),
        metrics,
        lambda: next(ticks) >= 10,
        _Display(),
        on_tick=stall if where == "terminal" else lambda: None,
    )
    monkeypatch.setattr(supervisor_lib, "_INTERRUPTED_SEC", 0.0)
    assert supervisor.run() is budget_lib.Status.INTERRUPTED
    assert now[0] >= 5000.0
    assert launcher.killed == []


def _patient_collector(num_server_starts: int) -> node_process.NodeSpec:
    return node_process.NodeSpec("collector_0", functools.partial(nodes.patient_collector, num_server_starts))


def test_the_server_comes_back_at_its_address(tmp_path):
    server = node_process.NodeSpec("server", nodes.dying_server)
    run = _Run(tmp_path, [server, _LEARNER, _patient_collector(2), _EVALUATOR], 200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.supervisor.progress.num_restarts == {"server": 1}


def test_a_run_whose_temporary_files_are_removed_goes_on_when_a_node_dies(tmp_path, caplog):
    specs = [_SERVER, _LEARNER, node_process.NodeSpec("collector_0", nodes.cleaning_collector), _EVALUATOR]
    run = _Run(tmp_path, specs, num_env_steps=60)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert {"collector_0", "fork_server"} <= set(run.supervisor.progress.num_restarts)
    assert "The fork server is ended, as somebody has removed its socket, and with it every process" in caplog.text
    assert run.processes_left() == []


def _nodes_of_a_forgetful_server(evaluator):
    server, learner = (
        node_process.NodeSpec("server", nodes.forgetful_server),
        node_process.NodeSpec("learner", nodes.publishing_learner),
    )
    return [server, learner, _COLLECTOR, node_process.NodeSpec("evaluator", evaluator)]


def test_a_last_snapshot_that_dies_with_the_server_is_published_again(tmp_path, caplog):
    run = _Run(tmp_path, _nodes_of_a_forgetful_server(nodes.reading_evaluator), num_env_steps=200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    progress = run.supervisor.progress
    assert (progress.final_version, progress.num_restarts) == (8, {"server": 1})
    assert progress.is_judged(8)
    assert run.display.awaited[1:] == [
        "judging the last policy",
        "publishing the last policy again",
        "judging the last policy",
        "keeping the replay",
    ]
    assert "was not judged" not in caplog.text
    assert run.processes_left() == []


def test_that_the_server_died_is_told_where_the_last_policy_was_not_judged(tmp_path, caplog):
    run = _Run(tmp_path, _nodes_of_a_forgetful_server(nodes.idle), num_env_steps=200, final_evaluation_sec=2.0)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    message = "The server died while the run was being ended. The last policy was not judged within Experiment.final_"
    assert message in caplog.text


def test_a_port_that_is_taken_ends_the_run_at_once(tmp_path):
    run = _Run(tmp_path, [node_process.NodeSpec("server", nodes.portless_server), _LEARNER], port=5000)
    with pytest.raises(errors.NodeFailedError, match="server: port 5000 is in use; its log"):
        run.supervisor.run()
    assert run.supervisor.progress.num_restarts == {}
    assert run.processes_left() == []


def test_a_server_that_is_started_again_waits_for_its_port(tmp_path):
    server = node_process.NodeSpec("server", nodes.displaced_server)
    run = _Run(tmp_path, [server, _LEARNER, _patient_collector(3), _EVALUATOR], 200)
    assert run.supervisor.run() is budget_lib.Status.COMPLETED
    assert run.supervisor.progress.num_restarts == {"server": 2}


def test_the_traceback_of_an_error_is_in_the_nodes_log(tmp_path):
    run = _Run(tmp_path, [_SERVER, node_process.NodeSpec("collector_0", nodes.failing)], max_deaths=0)
    with pytest.raises(errors.NodeFailedError):
        run.supervisor.run()
    assert "TaskError: environment 'x'" in (tmp_path / "logs" / "collector_0.log").read_text()


def test_a_node_that_dies_while_it_ends_is_a_failure(tmp_path):
    run = _Run(tmp_path, [_SERVER, node_process.NodeSpec("learner", nodes.dying_learner), _COLLECTOR], num_env_steps=1)
    with pytest.raises(errors.NodeFailedError, match="learner: exit code 3"):
        run.supervisor.run()


def test_a_node_that_does_not_end_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_lib, "_STOP_SEC", 0.5)
    monkeypatch.setattr(supervisor_lib, "_FAILED_SEC", 0.5)
    run = _Run(tmp_path, [_SERVER, node_process.NodeSpec("learner", nodes.stubborn), _COLLECTOR], num_env_steps=1)
    with pytest.raises(errors.NodeFailedError, match="learner: did not end within"):
        run.supervisor.run()
    assert run.processes_left() == []


def test_a_server_that_says_no_address_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_lib, "_SERVER_START_SEC", 0.5)
    run = _Run(tmp_path, [node_process.NodeSpec("server", nodes.idle), _LEARNER])
    with pytest.raises(errors.NodeFailedError, match="server: gave no address"):
        run.supervisor.run()
    assert [node.spec.name for node in run.launcher.nodes] == ["server"]
