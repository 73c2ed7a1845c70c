"""Nodes that do just what a test of the launcher or the supervisor needs. Each takes a `NodeContext`."""

import hashlib
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

from absl import logging

from tfquarl.core import errors

_PUBLISHED = "published"
"""File that stands for a server's table of snapshots."""


def server(context: Any) -> None:
    """Says an address and waits for the stop signal."""
    context.sender.send("running")
    context.sender.send("ready", address="localhost:1")
    context.stop.wait()


def collector(context: Any) -> None:
    """Reports 10 more environment steps every few milliseconds until it is stopped."""
    context.sender.send("running")
    for steps in itertools.count(context.start.env_steps + 10, 10):
        context.sender.write(f"collect/{context.index}", steps, {"Metrics/EnvironmentSteps": steps})
        if context.stop.wait(0.005):
            return


def patient_collector(num_server_starts: int, context: Any) -> None:
    """Collects once the server has been started so often, so that the run can't end before."""
    while _num_starts(context) < num_server_starts:
        if context.stop.wait(0.005):
            return
    collector(context)


def learner(context: Any) -> None:
    """Waits; at its end says that version 7 was its last."""
    context.sender.send("running")
    context.sender.write("train", 3, {"Losses/loss": 0.5})
    context.stop.wait()
    context.sender.send("finished", version=7, train_step=30, is_done=False)


def finished_learner(context: Any) -> None:
    """Says at once that version 7 was its last, as no train step is left."""
    context.sender.send("finished", version=7, train_step=30, is_done=True)


def terminated_learner(context: Any) -> None:
    """Gets a SIGTERM that nobody of the run has sent, and ends in order; started again, it learns."""
    if context.start.version:
        learner(context)
        return
    context.sender.write("train", 2, {"Policy/snapshot_version": 3})
    os.kill(os.getpid(), signal.SIGTERM)
    context.stop.wait()
    context.sender.send("finished", version=3, train_step=2, is_done=False)


def dying_learner(context: Any) -> None:
    """Waits for the stop signal and dies by it."""
    context.stop.wait()
    os._exit(3)


def evaluator(context: Any) -> None:
    """Judges version 7 with a confirmed mean return of 480."""
    context.sender.send("evaluation", version=7, confirmed=True, quantized={"mean_return": 480.0})
    context.stop.wait()


def pausing_evaluator(context: Any) -> None:
    """Judges version 7 when it is told that training has ended."""
    while not (context.trained.is_set() or context.stop.wait(0.01)):
        pass
    if context.trained.is_set():
        evaluator(context)


def dying_evaluator(context: Any) -> None:
    """Dies when it is told that training has ended; started again, it judges when it is told so again."""
    if not (pathlib.Path(context.run_dir) / "starts").exists():
        while not (context.trained.is_set() or context.stop.wait(0.01)):
            pass
        _note_start(context)
        os.kill(os.getpid(), signal.SIGKILL)
    pausing_evaluator(context)


def terminated_amid_a_wait(context: Any) -> None:
    """Gets SIGTERM while it holds the lock of its stop signal, as at the beginning and at the end of each wait for it."""
    with context.stop._cond:
        os.kill(os.getpid(), signal.SIGTERM)
    context.stop.wait()


def idle(context: Any) -> None:
    """Waits for the stop signal."""
    context.stop.wait()


def dying_collector(context: Any) -> None:
    """Dies after 30 environment steps; started again, it collects."""
    if context.start.env_steps:
        collector(context)
        return
    context.sender.write(f"collect/{context.index}", 30, {"Policy/version": 4})
    os.kill(os.getpid(), signal.SIGKILL)


def cleaning_collector(context: Any) -> None:
    """Dies after 30 environment steps and takes the temporary files of the run with it; started again, it collects."""
    if not context.start.env_steps:
        shutil.rmtree(tempfile.gettempdir())
    dying_collector(context)


def hanging_collector(context: Any) -> None:
    """Hangs after 30 environment steps, deaf to its stop signal; started again, it collects."""
    if context.start.env_steps:
        collector(context)
        return
    context.sender.write(f"collect/{context.index}", 30, {})
    threading.Event().wait()


def dying_server(context: Any) -> None:
    """Dies when it has said its address; started again at that port, it serves."""
    _note_start(context)
    context.sender.send("ready", address=f"localhost:{context.start.port or 7}")
    if context.start.port:
        context.stop.wait()
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def forgetful_server(context: Any) -> None:
    """Dies when the learner has published its last snapshot; started again, it has lost that, and serves."""
    published = pathlib.Path(context.run_dir) / _PUBLISHED
    published.unlink(missing_ok=True)
    number = _note_start(context)
    context.sender.send("ready", address="localhost:7")
    while number > 1 or not published.exists():
        if context.stop.wait(0.005):
            return
    os.kill(os.getpid(), signal.SIGKILL)


def publishing_learner(context: Any) -> None:
    """Publishes at its end a snapshot of a version that no learner before it has given, from 7 on."""
    context.sender.send("running")
    context.stop.wait()
    version = max(7, context.start.version + 1)
    context.sender.write("train", 30, {"Policy/snapshot_version": version})
    (pathlib.Path(context.run_dir) / _PUBLISHED).touch()
    context.sender.send("finished", version=version, train_step=30, is_done=False)


def reading_evaluator(context: Any) -> None:
    """Judges version 8 when the second server has a snapshot."""
    while not ((pathlib.Path(context.run_dir) / _PUBLISHED).exists() and _num_starts(context) == 2):
        if context.stop.wait(0.005):
            return
    context.sender.send("evaluation", version=8, confirmed=True, quantized={"mean_return": 480.0})
    context.stop.wait()


def displaced_server(context: Any) -> None:
    """Dies when it has said its address; finds its port taken when it is started again, and has it at the third start."""
    number = _note_start(context)
    if number == 2:
        portless_server(context)
    context.sender.send("ready", address="localhost:7")
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    context.stop.wait()


def portless_server(context: Any) -> None:
    """Finds that its port is taken."""
    raise errors.PortError(f"port {context.start.port} is in use")


def stubborn(context: Any) -> None:
    """Never ends by itself, whatever it is asked."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context.sender.send("running")
    context.sender.send("ready", address="localhost:1")
    while True:
        signal.pause()


def describing(context: Any) -> None:
    """Tells what it was given."""
    given = [context.experiment, context.spec, context.index, context.server_address, context.run_dir]
    key = hashlib.sha256(context.key).hexdigest()
    threads = os.environ.get("OMP_NUM_THREADS")
    context.sender.send("context", context=given, key=key, key_bytes=len(context.key), threads=threads)


def littering(context: Any) -> None:
    """Leaves a temporary file behind, whose path it tells, as does a program that it starts."""
    descriptor, own = tempfile.mkstemp()
    os.close(descriptor)
    code = "import tempfile; print(tempfile.mkstemp()[1], end='')"
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    context.sender.send("litter", paths=[own, started])


def talking(context: Any) -> None:
    """Says something in each of three ways."""
    sys.stdout.write("on stdout\n")
    logging.warning("as a warning")
    os.write(2, b"from beneath Python\n")


def broken(context: Any) -> None:
    """Raises an error that is nobody's but ours."""
    del context
    raise ZeroDivisionError("division by zero")


def failing(context: Any) -> None:
    """Raises an error of the user's kind."""
    raise errors.TaskError("environment 'x' has no action 'y'")


def misconfigured(context: Any) -> None:
    """Raises an error that no new start mends."""
    raise errors.ConfigError("the replay has other tables")


def diskless(context: Any) -> None:
    """Finds the disk full, on which its log is too."""
    del context
    sys.stdout.write("before the disk was full")  # to be written when the process ends
    full = os.open("/dev/full", os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(full, descriptor)
    raise errors.StorageError("writing a checkpoint: No space left on device")


def quitter(context: Any) -> None:
    """Ends without being asked to, as if SIGTERM had reached every process of the run."""
    context.sender.send("running")


def parent(context: Any) -> None:
    """Leaves a process of its own behind, whose id it tells."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    context.sender.write("collect/0", 1, {"child": child.pid})
    context.stop.wait()


def crashing(context: Any) -> None:
    """Dies without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def _num_starts(context: Any) -> int:
    """How often a server has noted a start."""
    starts = pathlib.Path(context.run_dir) / "starts"
    return len(starts.read_text()) if starts.exists() else 0


def _note_start(context: Any) -> int:
    """Notes a server's start; the number of it, from 1 on."""
    number = _num_starts(context) + 1
    (pathlib.Path(context.run_dir) / "starts").write_text("x" * number)
    return number
