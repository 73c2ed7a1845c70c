"""Processes of a benchmark: each holds one arm and works only when it is asked to."""

from collections.abc import Callable
from collections.abc import Sequence
import contextlib
import dataclasses
import multiprocessing
from multiprocessing import connection as connection_lib
import multiprocessing.context
import os
import sys
import tempfile
import traceback
from typing import Any

from tfquarl.core import errors
from tfquarl.experiments import alternation
from tfquarl.program import output_file
from tfquarl.program import scheduling

_ANSWER_SEC = 240.0
_EXIT_SEC = 10.0

# Before anything is imported: each process measures one thread, and TensorFlow's start-up notes are no result.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "MUJOCO_GL": "disable",
}


@dataclasses.dataclass(frozen=True)
class Cores:
    """Which processor cores a benchmark's processes may use.

    Attributes:
      measured: of the arms.
      beside: of what they talk to, a Reverb server above all.
    """

    measured: frozenset[int]
    beside: frozenset[int]

    @classmethod
    def one_and_the_rest(cls) -> "Cores":
        """One core for the arms and the others for the rest; where there is one core only, everything shares it."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(frozenset(cores[:1]), frozenset(cores[1:] or cores))

    @classmethod
    def all(cls) -> "Cores":
        """Every core for all."""
        cores = frozenset(os.sched_getaffinity(0))
        return cls(cores, cores)


def make_context(preload: Sequence[str] = ()) -> multiprocessing.context.ForkServerContext:
    """The fork server that workers come from, with `preload` imported once for all; it is made before the first worker starts."""
    os.environ.update(_ENVIRONMENT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


class Worker:
    """An arm in a process of its own; an `alternation.Arm` itself.

    with worker.Worker(context, cores, make_arm, task, recipe) as arm:
        arm.run(1.0)
    """

    def __init__(
        self,
        context: multiprocessing.context.ForkServerContext,
        cores: frozenset[int],
        make_arm: Callable[..., Any],
        *args: Any,
    ) -> None:
        """Starts the process, and returns while the arm is still being made.

        Args:
          context: of `make_context`.
          cores: that the process may use.
          make_arm: a module's function; gives the arm, in the process.
          args: of `make_arm`; must be picklable.
        """
        self._name = f"{make_arm.__module__}.{make_arm.__qualname__}"
        self._connection, theirs = context.Pipe()
        self._log = tempfile.NamedTemporaryFile("r", prefix="benchmark_", errors="replace")  # noqa: SIM115, closed in close()
        self._process = context.Process(target=_main, args=(theirs, self._log.name, cores, make_arm, args), daemon=True)
        self._process.start()
        theirs.close()
        self._is_ready = False

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Waits until the arm has been made.

        Raises:
          NodeFailedError: it could not be made.
        """
        if not self._is_ready:
            self._receive()
            self._is_ready = True

    def run(self, duration_sec: float) -> alternation.Slice:
        """The arm's slice; raises as `call` does."""
        return self.call("run", duration_sec)

    def call(self, method: str, *args: Any) -> Any:
        """What the arm's method gives.

        Raises:
          NodeFailedError: the process died, the method raised, or it took too long.
        """
        self.begin(method, *args)
        return self.finish()

    def begin(self, method: str, *args: Any) -> None:
        """Lets the arm do what `call` does while this process goes on; `finish` must follow."""
        self.wait_until_ready()
        self._connection.send((method, args))

    def finish(self) -> Any:
        """Waits for what `begin` began; gives and raises what `call` does."""
        return self._receive()

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join(_EXIT_SEC)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._log.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> Any:
        try:
            if not self._connection.poll(_ANSWER_SEC):
                raise errors.NodeFailedError(f"benchmark process {self._name}: no answer within {_ANSWER_SEC:g} s")
            error, answer = self._connection.recv()
        except (EOFError, ConnectionError) as cause:
            raise errors.NodeFailedError(
                f"benchmark process {self._name} died; was there too little memory? Its last words: {self._log.read()[-500:]}"
            ) from cause
        if error is not None:
            raise errors.NodeFailedError(f"benchmark process {self._name}: {error}")
        return answer


def _main(
    connection: connection_lib.Connection,
    log: str,
    cores: frozenset[int],
    make_arm: Callable[..., Any],
    args: Sequence[Any],
) -> None:
    os.sched_setaffinity(0, cores)
    scheduling.prefer_throughput()  # as collectors have it; all arms alike
    output_file.redirect(log)
    with contextlib.suppress(EOFError, ConnectionError):  # the benchmark has ended
        try:
            arm = make_arm(*args)
            connection.send((None, None))
            while True:
                method, arguments = connection.recv()
                connection.send((None, getattr(arm, method)(*arguments)))
        except errors.TfquarlError as error:
            connection.send((str(error), None))
        except Exception as error:  # the border of the process: whatever it was, the benchmark is told
            connection.send((f"{type(error).__name__}: {error}\n{traceback.format_exc()}", None))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # TensorFlow's and gRPC's threads may hang in the interpreter's own shutdown
