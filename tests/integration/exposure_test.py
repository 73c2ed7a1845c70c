"""A run whose server is open to every interface: at the port that the user chose, also after its server has died."""

import contextlib
import pathlib
import socket

import psutil

from tfquarl.testing import train_process

_PATIENCE_SEC = 10.0


def _unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _memory_score(pid):
    """Whom the kernel ends first when memory runs out: the highest."""
    return int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text())


def _pid(run):
    """Of the server; None where there is none."""
    with contextlib.suppress(StopIteration, psutil.Error):
        return run.node("server").pid
    return None


def test_the_server_keeps_the_port_that_the_user_chose(tmp_path):
    port = _unused_port()
    flags = ("--bind_address=0.0.0.0", f"--port={port}")
    with train_process.TrainProcess(tmp_path / "run", "Experiment.num_env_steps = 1_000_000", flags=flags) as run:
        run.wait_until(lambda: run.rows("train"))
        socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SEC).close()
        first = run.node("server")
        scores = {pid: _memory_score(pid) for pid in (first.pid, run.pid, run.node("learner").pid)}
        assert scores.pop(first.pid) == 1000 > max(scores.values())  # who fills its memory harms it alone
        first.kill()
        run.wait_until(lambda: _pid(run) not in (None, first.pid))
        num_rows = len(run.rows("train"))
        run.wait_until(lambda: len(run.rows("train")) > num_rows + 1)
        socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SEC).close()
        psutil.Process(run.pid).terminate()
        assert run.finish() == 130, run.stderr
        assert run.processes() == []
        assert run.summary()["num_restarts"] == {"server": 1}
        assert "warning: the Reverb server listens on every network interface" in run.stdout + run.stderr
