"""What happens in a node's process around its station: log file, signals, the watch on the parent, one line for an error."""

from collections.abc import Callable
import contextlib
import dataclasses
import faulthandler
import logging as python_logging
import multiprocessing
from multiprocessing import connection as connection_lib
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from typing import Any

from absl import flags
from absl import logging

from tfquarl.core import errors
from tfquarl.program import channel
from tfquarl.program import heartbeat
from tfquarl.program import output_file
from tfquarl.program import run_directory
from tfquarl.program import warning_relay

TRAINED_SIGNAL = signal.SIGUSR1
"""By which the launcher tells a node that training has ended."""

_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGHUP)
"""Which the launcher answers for all."""

SIGNALS = (*_OF_THE_TERMINAL, signal.SIGTERM, TRAINED_SIGNAL)
"""What a node may get; it starts with these held back."""


@dataclasses.dataclass(frozen=True)
class NodeSpec:
    """One process of a run.

    Attributes:
      name: unique in the run, e.g. 'collector_2'; also the name of its log file.
      run: the node's function; takes a `NodeContext`.
      index: of this node among its kind.
    """

    name: str
    run: Callable[["NodeContext"], None]
    index: int = 0


@dataclasses.dataclass(frozen=True)
class StartPoint:
    """What a node goes on from: all zero at the beginning of a run.

    Attributes:
      env_steps: that the collector of this index has made.
      episodes: that the collector of this index has ended.
      version: newest one of a snapshot or policy that is known of.
      port: that the server of the run had, and has to have again; 0 lets it choose one.
    """

    env_steps: int = 0
    episodes: int = 0
    version: int = 0
    port: int = 0


BEGINNING = StartPoint()
"""Of a run."""


@dataclasses.dataclass(frozen=True)
class NodeContext:
    """What every node gets.

    Attributes:
      experiment: the whole configuration, an `Experiment`.
      spec: of its environment, an `EnvironmentSpec`.
      index: of this node among its kind.
      server_address: 'host:port' of the Reverb server; '' for the server itself.
      key: that the run's publications are signed with.
      run_dir: the run's directory.
      start: what the node goes on from.
      sender: the way to the launcher.
      stop: set when the node should end; a `StopSignal`.
      trained: set when training has ended, on time to judge the last policy.
    """

    experiment: Any
    spec: Any
    index: int
    server_address: str
    key: bytes
    run_dir: str
    start: StartPoint
    sender: channel.Sender
    stop: threading.Event
    trained: threading.Event


def main(
    node: NodeSpec,
    experiment: Any,
    spec: Any,
    server_address: str,
    key: bytes,
    run_dir: str,
    temporary_dir: str,
    start: StartPoint,
    connection: connection_lib.Connection,
) -> None:
    """Runs one node to its end; the target of its process. Exit code 0, or 1 after an 'error' message.

    Its temporary files, and those of what it starts, are in `temporary_dir`, which the launcher removes.
    """
    stop = heartbeat.WatchedStop()
    os.setpgid(0, 0)  # Ctrl-C is the launcher's to answer; and what a node starts can be ended with it
    _stop_at_sigterm(stop)
    trained = threading.Event()
    signal.signal(TRAINED_SIGNAL, lambda *_: trained.set())
    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)  # one that came before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # the launcher held them back until now
    _log_to(os.path.join(run_dir, run_directory.log_file(node.name)))
    _end_with_parent(temporary_dir)
    os.environ["TMPDIR"] = tempfile.tempdir = temporary_dir
    sender = channel.Sender(connection)
    python_logging.getLogger().addHandler(warning_relay.WarningRelay(sender, stop))
    heartbeat.send_from(stop, sender)
    try:
        node.run(NodeContext(experiment, spec, node.index, server_address, key, run_dir, start, sender, stop, trained))
    except Exception as error:  # the border of the process: whatever it was, the launcher is told in one line
        known = isinstance(error, errors.TfquarlError)
        kind = type(error).__name__
        sender.send("error", reason=str(error) if known else f"{kind}: {error}", error=kind)
        with contextlib.suppress(OSError):  # of a log on a full disk, which may be the error itself
            traceback.print_exc()
        _exit(1)
    _exit(0)


def _stop_at_sigterm(stop: threading.Event) -> None:
    """Sets `stop` at SIGTERM, also while the main thread is in a call that Python can't interrupt, as TensorFlow's are.

    Python runs handlers in the main thread alone, between its instructions; the byte in the pipe comes at once. And a handler may come
    while that thread holds the lock of `stop`, which it would wait for for ever.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while os.read(reader, 1) != bytes([signal.SIGTERM]):
            pass
        stop.set()

    threading.Thread(target=watch, name="sigterm-watch", daemon=True).start()


def _exit(code: int) -> None:
    """Ends the process without the interpreter's own shutdown, in which TensorFlow's and gRPC's threads may hang."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the disk of the log may be full
            stream.flush()
    os._exit(code)


def _log_to(path: str) -> None:
    """Sends what this process says, and its logging, to the end of the file at `path`."""
    output_file.redirect(path)
    faulthandler.enable()
    flags.FLAGS.mark_as_parsed()  # which absl's logging waits for
    logging.use_absl_handler()
    logging.get_absl_handler().python_handler.stream = sys.stderr
    python_logging.getLogger().setLevel(python_logging.INFO)


def _end_with_parent(temporary_dir: str) -> None:
    """Ends this process when the launcher's has ended, however it did: nothing of a run is left behind, nor its temporary files."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection_lib.wait([parent.sentinel])
        shutil.rmtree(temporary_dir, ignore_errors=True)  # a launcher that was killed has not
        os.killpg(0, signal.SIGKILL)  # this process and those that it has started

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
