"""Tests of `tfquarl.program.launcher` and of what `node_process` puts around a node, with real processes."""

import contextlib
import multiprocessing
import os
import pathlib
import shutil
import signal
import tempfile
import threading

import psutil
import pytest

from tfquarl.core import errors
from tfquarl.program import channel
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.testing import nodes

_PATIENCE_SEC = 60.0


class _Launcher(launcher_lib.LocalLauncher):
    """Keeps the messages that nobody has asked for yet."""

    def next(self, kind):
        """The body of the next message of a kind."""
        while True:
            is_alive = any(node.is_alive for node in self.nodes)
            self.waiting = [*getattr(self, "waiting", []), *(message for _, message in self.receive())]
            for message in self.waiting:
                if message.kind == kind:
                    self.waiting.remove(message)
                    return message.body
            assert is_alive, f"all nodes ended without '{kind}'"
            self.wait(_PATIENCE_SEC)


@pytest.fixture
def launcher(tmp_path):
    (tmp_path / "logs").mkdir()
    value = _Launcher({"seed": 3}, "spec", str(tmp_path), ["tfquarl.testing.nodes"])
    yield value
    value.kill_all(0.0)
    value.close()


def _join(node):
    node.process.join(_PATIENCE_SEC)
    return node.process.exitcode


def test_a_node_gets_what_it_needs(launcher, tmp_path):
    launcher.start(node_process.NodeSpec("collector_2", nodes.describing, index=2), "localhost:7")
    body = launcher.next("context")
    assert body["context"] == [{"seed": 3}, "spec", 2, "localhost:7", str(tmp_path)]
    assert body["key_bytes"] == 32
    assert body["threads"] == "1"


def test_all_nodes_of_a_run_share_one_key_and_no_two_runs_do(launcher, tmp_path):
    for name in ("a", "b"):
        launcher.start(node_process.NodeSpec(name, nodes.describing))
    keys = [launcher.next("context")["key"], launcher.next("context")["key"]]
    other = _Launcher(None, None, str(tmp_path))
    other.start(node_process.NodeSpec("c", nodes.describing))
    assert keys[0] == keys[1] != other.next("context")["key"]
    other.kill_all(0.0)


def test_what_a_node_says_is_in_its_log(launcher, tmp_path):
    node = launcher.start(node_process.NodeSpec("learner", nodes.talking))
    assert _join(node) == 0
    log = (tmp_path / "logs" / "learner.log").read_text()
    assert "on stdout\n" in log and "from beneath Python\n" in log and "] as a warning" in log
    assert "flag parsing" not in log


@pytest.mark.parametrize(
    ("run", "exit_code", "reason"),
    [
        pytest.param(nodes.failing, 1, "environment 'x' has no action 'y'", id="of_the_users_kind"),
        pytest.param(nodes.broken, 1, "ZeroDivisionError: division by zero", id="of_ours"),
    ],
)
def test_an_error_is_told_in_one_line_and_in_full_in_the_log(launcher, tmp_path, run, exit_code, reason):
    node = launcher.start(node_process.NodeSpec("learner", run))
    assert launcher.next("error")["reason"] == reason
    assert _join(node) == exit_code
    assert "Traceback" in (tmp_path / "logs" / "learner.log").read_text()


class _Process:
    """Stands for a node's process."""

    def __init__(self, is_alive: bool) -> None:
        self.is_alive = lambda: is_alive


@pytest.mark.parametrize(("is_alive", "taken"), [(True, [100, 50]), (False, [150])], ids=["alive", "ended"])
def test_a_node_that_sends_much_lets_others_have_their_turn_and_one_that_has_ended_is_heard_to_the_end(
    launcher, is_alive, taken
):
    ours, theirs = multiprocessing.Pipe(duplex=False)
    spec = node_process.NodeSpec("collector_0", nodes.collector)
    launcher.nodes = [launcher_lib.RunningNode(spec, _Process(is_alive), ours)]
    for _ in range(150):
        channel.Sender(theirs).send("alive")
    assert [len(launcher.receive()) for _ in taken] == taken
    launcher.nodes = []
    ours.close()
    theirs.close()


def test_stop_reaches_a_node_that_has_only_just_been_started(launcher):
    node = launcher.start(node_process.NodeSpec("learner", nodes.learner))
    launcher.stop([node])
    assert launcher.next("finished") == {"version": 7, "train_step": 30, "is_done": False}
    assert _join(node) == 0


def test_stop_reaches_a_node_at_the_edge_of_a_wait(launcher):
    assert _join(launcher.start(node_process.NodeSpec("learner", nodes.terminated_amid_a_wait))) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_the_terminal_sends_does_not_end_nodes_or_the_fork_server(launcher, number):
    node = launcher.start(node_process.NodeSpec("learner", nodes.learner))
    launcher.next("running")
    assert os.getpgid(node.process.pid) == node.process.pid != os.getpgid(0)
    node.process._popen._send_signal(number)
    os.kill(launcher.helpers()["fork_server"], number)
    launcher.stop([node])
    assert _join(node) == 0
    assert launcher.has_fork_server()


def test_kill_all_asks_before_it_kills(launcher):
    specs = [node_process.NodeSpec("polite", nodes.server), node_process.NodeSpec("stubborn", nodes.stubborn)]
    for spec in specs:
        launcher.start(spec)
    for _ in specs:
        launcher.next("ready")
    assert launcher.kill_all(5.0) == ["stubborn"]
    assert [node.process.exitcode for node in launcher.nodes] == [0, -signal.SIGKILL]


@pytest.mark.parametrize(
    "error", [None, ProcessLookupError, PermissionError], ids=["something_left", "nothing_left", "id_of_another_user"]
)
def test_a_group_is_killed_once_as_its_id_may_be_anothers_later(launcher, monkeypatch, error):
    killed = []

    def killpg(pid, number):
        killed.append((pid, number))
        if error is not None:
            raise error

    node = launcher.start(node_process.NodeSpec("learner", nodes.talking))
    assert _join(node) == 0
    monkeypatch.setattr(launcher_lib.os, "killpg", killpg)
    launcher.kill(node)
    launcher.kill_named("learner")
    assert launcher.kill_all(0.0) == []
    assert killed == [(node.process.pid, signal.SIGKILL)]


def test_close_leaves_no_helper_behind(launcher):
    before = {process.pid for process in psutil.Process().children()}
    assert launcher.open()
    helpers = [process for process in psutil.Process().children() if process.pid not in before]
    assert launcher.helpers()["fork_server"] in [process.pid for process in helpers]
    launcher.close()
    assert not any(process.is_running() for process in helpers)
    assert launcher.helpers() == {}


def test_close_leaves_no_temporary_files_of_nodes_behind(launcher):
    launcher.start(node_process.NodeSpec("learner", nodes.littering))
    paths = launcher.next("litter")["paths"]
    assert len(paths) == 2 and all(os.path.exists(path) for path in paths)
    launcher.kill_all(_PATIENCE_SEC)
    launcher.close()
    assert not any(os.path.exists(path) for path in paths)
    assert not any(os.path.exists(os.path.dirname(path)) for path in paths)


def test_opening_can_be_given_up_while_the_fork_server_imports(tmp_path, monkeypatch):
    (tmp_path / "slow_module.py").write_text("import threading\nthreading.Event().wait(600)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    launcher = launcher_lib.LocalLauncher(None, None, str(tmp_path), ["slow_module"])
    assert launcher.open(lambda: False) is False
    launcher.close()
    assert "fork-server" not in [thread.name for thread in threading.enumerate()]


def test_a_fork_server_that_dies_is_told_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "deadly_module.py").write_text("import os\nos._exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    launcher = launcher_lib.LocalLauncher(None, None, str(tmp_path), ["deadly_module"])
    with pytest.raises(errors.NodeFailedError, match="the fork server died while it imported deadly_module"):
        launcher.open()
    launcher.close()


def test_a_fork_server_that_is_killed_can_be_replaced(launcher):
    launcher.open()
    assert launcher.has_fork_server()
    node = launcher.start(node_process.NodeSpec("a", nodes.idle))
    fork_server = psutil.Process(node.process.pid).parent()
    fork_server.kill()
    assert _join(node) == 255
    os.waitid(os.P_PID, fork_server.pid, os.WEXITED | os.WNOWAIT)
    assert not launcher.has_fork_server()
    launcher.kill(node)
    launcher.open()
    assert launcher.has_fork_server()
    launcher.start(node_process.NodeSpec("b", nodes.describing))
    assert launcher.next("context")


def test_after_temporary_files_were_removed_another_fork_server_starts_nodes_and_nothing_is_left(tmp_path, monkeypatch):
    (tmp_path / "logs").mkdir()
    place = pathlib.Path(tempfile.mkdtemp())  # with a path that is short enough for sockets, which pytest's may not be
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    value = _Launcher(None, None, str(tmp_path), ["tfquarl.testing.nodes"])
    value.open()
    assert value.can_start()
    shutil.rmtree(next(place.iterdir()))
    assert value.has_fork_server() and not value.can_start()
    with pytest.raises(errors.NodeFailedError, match=r"a: the fork server can't start it: .*No such file"):
        value.start(node_process.NodeSpec("a", nodes.idle))
    value.open()
    assert value.can_start()
    value.start(node_process.NodeSpec("b", nodes.describing))
    assert value.next("context")
    shutil.rmtree(next(place.iterdir()))
    value.kill_all(0.0)
    value.close()
    place.rmdir()  # which is empty


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(OSError(24, "Too many open files"), "can't start it: .*Too many open files$", id="descriptors"),
        pytest.param(EOFError(), "died when it was to start it; is there enough memory", id="died"),
        pytest.param(BrokenPipeError(32, "Broken pipe"), "died when .*Broken pipe; is there enough memory", id="gone"),
    ],
)
def test_memory_is_asked_about_only_where_the_fork_server_died(launcher, monkeypatch, error, message):
    def start(process):
        raise error

    monkeypatch.setattr(launcher._fork_server, "_start_with_signals_held", start)
    with pytest.raises(errors.NodeFailedError, match=f"^a: the fork server {message}"):
        launcher.start(node_process.NodeSpec("a", nodes.idle))
    message = "died while it imported .*memory" if "died" in message else "can't be started: .*Too many open files$"
    with pytest.raises(errors.NodeFailedError, match=f"^the fork server {message}"):
        launcher.open()


def test_without_descriptors_for_a_pipe_that_is_told(launcher, monkeypatch):
    def pipe(duplex):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(launcher_lib.multiprocessing, "Pipe", pipe)
    with pytest.raises(errors.NodeFailedError, match=r"^a: no pipe to it can be made: .*Too many open files$"):
        launcher.start(node_process.NodeSpec("a", nodes.idle))


def test_sockets_are_among_the_temporary_files_of_the_run(launcher):
    launcher.open()
    files = os.listdir(launcher._fork_server.temporary_dir)
    assert len(files) == 1 and files[0].startswith("listener-")


@pytest.mark.parametrize(
    ("length", "message"), [(72, None), (73, "has a path of 73 bytes, and one for sockets at most 72; set TMPDIR")]
)
def test_a_temporary_directory_whose_path_is_too_long_for_sockets(tmp_path, monkeypatch, length, message):
    place = os.path.join("/tmp", "x" * (length - 5))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: place)
    made = []
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **more: made.append(more))
    with pytest.raises(errors.ConfigError, match=message) if message else contextlib.nullcontext():
        launcher_lib.LocalLauncher(None, None, str(tmp_path))
    assert bool(made) == (message is None)


def test_no_usable_temporary_directory_is_a_storage_error(tmp_path, monkeypatch):
    def gettempdir():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", gettempdir)
    with pytest.raises(errors.StorageError, match="finding a temporary directory failed: No usable temporary"):
        launcher_lib.LocalLauncher(None, None, str(tmp_path))


def test_a_fork_server_that_does_not_answer_is_told_in_one_line(launcher, monkeypatch):
    monkeypatch.setattr(launcher._fork_server._caller, "_timeout_sec", 0.5)
    launcher.open()
    node = launcher.start(node_process.NodeSpec("a", nodes.idle))
    psutil.Process(node.process.pid).parent().suspend()
    with pytest.raises(
        errors.NodeFailedError, match=r"b: the fork server did not answer within .* when it was to start it"
    ):
        launcher.start(node_process.NodeSpec("b", nodes.idle))
