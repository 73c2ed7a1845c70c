"""A Reverb writer whose waits all end: by the server's confirmation, a stop signal or a deadline."""

import threading
import time

import reverb
from reverb import errors as reverb_errors
from reverb import structured_writer

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.replay import server_calls

_FLUSH_MS = 400
_SERVER_INFO_SEC = 1


def make_item_writer(client: reverb.Client, table: str, priority: float = 1.0) -> structured_writer.StructuredWriter:
    """The fastest writer for items of one tensor: what is appended is an item of `table` at once."""
    pattern = structured_writer.pattern_from_transform(None, lambda step: step[-1])
    config = structured_writer.create_config(
        pattern=pattern, table=table, priority=structured_writer.constant_priority_fn(priority)
    )
    return client.structured_writer([config])


class BoundedWriter:
    """Waits for the confirmation of what a writer has sent. Nothing is lost by not waiting: Reverb goes on sending."""

    def __init__(
        self,
        client: reverb.Client,
        writer: structured_writer.StructuredWriter | reverb.TrajectoryWriter,
        deadline_sec: float,
        stop: interfaces.StopSignal | None = None,
    ) -> None:
        """Takes over the writer.

        Args:
          client: of the server that it writes to.
          writer: a new one.
          deadline_sec: time for which the server may be silent; a server that only holds inserts back is not.
          stop: ends waits early.
        """
        self._client = client
        self._writer = writer
        self._deadline_sec = deadline_sec
        self._stop = stop
        self._released = threading.Event()
        # The destructor of a writer with unsent items blocks the whole process while the server is away. A daemon thread's reference
        # keeps it from running, at interpreter exit too, until everything is confirmed.
        threading.Thread(target=_hold, args=(writer, self._released), name="writer", daemon=True).start()

    def wait(self, num_pending: int = 0) -> bool:
        """Waits until at most `num_pending` items are unconfirmed; False if the stop signal came first, up to 2 s after it.

        Raises:
          RemoteTimeoutError: the server was silent for `deadline_sec`.
        """
        last_answer = time.perf_counter()
        while not self._flush(num_pending, _FLUSH_MS):
            if self._is_stopped():
                return False
            if self._answers():
                last_answer = time.perf_counter()
            elif time.perf_counter() - last_answer > self._deadline_sec:
                raise errors.RemoteTimeoutError(
                    f"Reverb server {self._client.server_address}: no answer within {self._deadline_sec:g} s; is it alive?"
                )
        return True

    def try_wait(self, num_pending: int, timeout_sec: float) -> bool:
        """Waits up to `timeout_sec`, whatever the cause; whether at most `num_pending` items are unconfirmed."""
        return self._flush(num_pending, max(1, int(1000 * timeout_sec)))

    def close(self, timeout_sec: float = 1.0) -> bool:
        """Waits for the last confirmations; whether they came. If not, they may still come while the process lives."""
        confirmed = self.try_wait(0, timeout_sec)
        if confirmed:
            self._released.set()
        return confirmed

    def _flush(self, num_pending: int, timeout_ms: int) -> bool:
        try:
            self._writer.flush(num_pending, timeout_ms)
        except reverb_errors.DeadlineExceededError:
            return False
        return True

    def _is_stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _answers(self) -> bool:
        try:
            server_calls.server_info(self._client, _SERVER_INFO_SEC)
        except errors.RemoteTimeoutError:
            return False
        return True


def _hold(writer: object, released: threading.Event) -> None:
    released.wait()
    del writer
