"""Tests of tfquarl/program/private_network.py, with real processes."""

import ctypes
import errno
import os
import socket
import subprocess
import sys
import types

import pytest

from tfquarl.core import errors
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.program import private_network
from tfquarl.testing import network_nodes

_ENTER = "import sys; from tfquarl.program import private_network; sys.exit(0 if private_network.enter() else 3)"


def _is_allowed() -> bool:
    return subprocess.run([sys.executable, "-c", _ENTER], check=False, env=_environment()).returncode == 0


def _environment() -> dict[str, str]:
    return dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))


@pytest.fixture(scope="module", autouse=True)
def allowed():
    if not _is_allowed():
        pytest.skip("this system gives no process a network of its own")


@pytest.fixture
def launcher(tmp_path):
    (tmp_path / "logs").mkdir()
    preload = ["tfquarl.program.network_entrance", "tfquarl.testing.network_nodes"]
    launcher = launcher_lib.LocalLauncher(None, None, str(tmp_path), preload)
    yield launcher
    launcher.kill_all(1.0)
    launcher.close()


def test_nodes_see_a_loopback_that_nobody_else_reaches(launcher):
    node = launcher.start(node_process.NodeSpec("server", network_nodes.looking))
    messages = []
    while not messages:
        launcher.wait(10.0)
        messages = launcher.receive()
    ((_, message),) = messages
    body = message.body
    assert message.kind == "network", body
    assert (body["interfaces"], body["heard"], body["user"]) == (["lo"], "word", os.getuid())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("localhost", body["port"]), timeout=10)
    assert not private_network.is_shared_with(node.process.pid)


_BECOME_NOBODY = """
try:
    os.setgid(65534)
    os.setuid(65534)
except OSError:
    sys.exit(4)
"""


def test_another_user_than_root_can_have_one_too():
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    # Imported before, since Python may be where only root reads; dumpable (4), as a process that began as that user is.
    become = "import ctypes, os, sys\nfrom tfquarl.program import private_network\n" + _BECOME_NOBODY
    script = f"{become}\nctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n{_ENTER}"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, env=_environment(), capture_output=True, text=True
    )
    if done.returncode == 3:
        pytest.skip("this system gives no network to users other than root")
    if done.returncode == 4:
        pytest.skip("there is no other user here, as in a sandbox")
    assert done.returncode == 0, done.stderr


def test_this_process_shares_its_network_with_itself_alone():
    assert private_network.is_shared_with(os.getpid())
    with pytest.raises(FileNotFoundError):
        private_network.is_shared_with(2**22 + 1)


def test_where_the_system_refuses_nothing_changes(monkeypatch):
    asked = []

    def unshare(kinds):
        asked.append(kinds)
        ctypes.set_errno(errno.EPERM)
        return -1

    monkeypatch.setattr(
        private_network.ctypes, "CDLL", lambda *args, **settings: types.SimpleNamespace(unshare=unshare)
    )
    assert not private_network.enter()
    assert asked == [0x40000000, 0x50000000]


def test_only_a_process_that_others_reach_gives_its_memory_first():
    script = "import os, sys; from tfquarl.program import private_network as p; " + (
        "sys.argv[1] == 'own' and p.enter(); print(p.yield_memory_if_shared(os.getppid()),"
        " open('/proc/self/oom_score_adj').read().strip() == '1000')"
    )
    told = {
        network: subprocess.check_output([sys.executable, "-c", script, network], env=_environment(), text=True).split()
        for network in ("shared", "own")
    }
    assert told == {"shared": ["True", "True"], "own": ["False", "False"]}


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_addresses(address, loopback):
    assert private_network.wants_loopback(address) is loopback


def test_an_address_that_reverb_can_not_have():
    with pytest.raises(errors.ConfigError, match=r"--bind_address is '10.0.0.7', needs one of localhost"):
        private_network.wants_loopback("10.0.0.7")
