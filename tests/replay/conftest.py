"""Real Reverb servers for the replay's tests: in this process, or in one that can be killed."""

from collections.abc import Callable
from collections.abc import Iterator
import os
import signal
import subprocess
import sys

import pytest
import reverb

from tfquarl.replay import replay_config
from tfquarl.replay import tables
from tfquarl.replay import transition

LAYOUT = transition.TransitionLayout(observation_size=2, action_size=1)

_SERVE = """
import sys
import reverb
from tfquarl.replay import replay_config
from tfquarl.replay import tables
from tfquarl.replay import transition
port, ratio = int(sys.argv[1]) or None, float(sys.argv[2]) or None
config = replay_config.ReplayConfig(
    max_size=10_000, min_size_to_sample=4, samples_per_insert=ratio, observation_block=2)
server = reverb.Server(tables.make_tables(config, transition.TransitionLayout(2, 1)), port)
print(server.port, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def serve() -> Iterator[Callable[[replay_config.ReplayConfig], reverb.Client]]:
    """Starts a server in this process, and gives a client of it."""
    servers = []

    def start(config: replay_config.ReplayConfig) -> reverb.Client:
        servers.append(reverb.Server(tables.make_tables(config, LAYOUT)))
        return reverb.Client(f"localhost:{servers[-1].port}")

    yield start
    for server in servers:
        server.stop()


class ServerProcess:
    """A server that can be killed, stopped like by a debugger, and started again at its address."""

    def __init__(self, ratio: float = 0.0) -> None:
        self._ratio = ratio
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", _SERVE, str(self.port), str(self._ratio)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def server_process() -> Iterator[ServerProcess]:
    """A server process without a ratio."""
    server = ServerProcess()
    yield server
    server.kill()
