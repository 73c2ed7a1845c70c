"""A run's Reverb server in a process of its own, for what is measured outside a run."""

from collections.abc import Sequence
import contextlib
from multiprocessing import connection as connection_lib
import multiprocessing.context
import os
import tempfile
import types

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import output_file

_START_SEC = 120.0
_EXIT_SEC = 10.0


class ReplayServer:
    """Serves all tables of a run, and more that take items of any kind.

    with ReplayServer(context, experiment, spec) as server:
        client = reverb.Client(server.address)
    """

    def __init__(
        self,
        context: multiprocessing.context.ForkServerContext,
        experiment: experiment_lib.Experiment,
        spec: environment_spec.EnvironmentSpec,
        more_tables: Sequence[str] = (),
        cores: frozenset[int] | None = None,
    ) -> None:
        """Starts the process and waits until it serves.

        Args:
          context: that the process comes from; a fork server with 'reverb' preloaded starts it at once.
          experiment: tells the run's tables.
          spec: of its environment.
          more_tables: names of uniform tables without signature or ratio.
          cores: that the process may use; None for all.

        Raises:
          NodeFailedError: it doesn't start.
        """
        self._connection, theirs = context.Pipe()
        self._log = tempfile.NamedTemporaryFile("r", prefix="replay_server_", errors="replace")  # noqa: SIM115, closed in close()
        self._process = context.Process(
            target=_serve,
            args=(theirs, self._log.name, experiment, spec, tuple(more_tables), cores),
            name="replay-server",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        try:
            port = self._connection.recv() if self._connection.poll(_START_SEC) else None
        except EOFError:
            port = None
        if port is None:
            words = self._log.read()[-500:]
            self.close()
            raise errors.NodeFailedError(f"the Reverb server did not start; its last words: {words}")
        self.address = f"localhost:{port}"

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join(_EXIT_SEC)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._log.close()

    def __enter__(self) -> "ReplayServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()


def _serve(
    connection: connection_lib.Connection,
    log: str,
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    more_tables: Sequence[str],
    cores: frozenset[int] | None,
) -> None:
    output_file.redirect(log)
    if cores is not None:
        os.sched_setaffinity(0, cores)
    import reverb

    from tfquarl.publication import publication_tables
    from tfquarl.replay import tables
    from tfquarl.replay import transition

    layout = transition.TransitionLayout.from_spec(spec)
    more = [
        reverb.Table(
            name=name,
            sampler=reverb.selectors.Uniform(),
            remover=reverb.selectors.Fifo(),
            max_size=experiment.replay.max_size,
            rate_limiter=reverb.rate_limiters.MinSize(1),
        )
        for name in more_tables
    ]
    all_tables = tables.make_tables(experiment.replay, layout) + publication_tables.make_publication_tables() + more
    server = reverb.Server(all_tables, port=None)
    with contextlib.suppress(EOFError, ConnectionError):
        connection.send(server.port)
        connection.recv()  # ends when the other side is closed
    os._exit(0)  # clients that are still there would hold up an orderly stop
