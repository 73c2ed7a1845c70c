"""Steps of a collector's environments in, n-step transitions in Reverb out, under the table's rate limiter."""

from collections.abc import Callable
import os
import time

from absl import logging
import numpy as np
import reverb

from tfquarl.core import interfaces
from tfquarl.replay import bounded_writer
from tfquarl.replay import n_step as n_step_lib
from tfquarl.replay import replay_config
from tfquarl.replay import tables
from tfquarl.replay import transition

# Seconds that a burst may take to gather: longer ones get smaller, much shorter ones larger. Half of it costs half of the steps where 64
# collectors share two cores: the threads of each burst let other collectors into the caches.
_BURST_SEC = 0.1
# At the end of a run nobody samples any more, so that a rate limiter may hold the last burst back for ever.
_CLOSE_SEC = 0.2


class TransitionWriter:
    """Writes for all environments of one collector, through one stream.

    Rows go out in bursts of whole items, because to send wakes Reverb's and gRPC's threads. A slow environment's bursts are small, so that
    its rows are not old when they arrive. Where the rate limiter holds the collector back, the call that meets it waits; rows that were
    taken are never dropped: they also survive a server that goes away and comes back at its address.
    """

    def __init__(
        self,
        client: reverb.Client,
        layout: transition.TransitionLayout,
        config: replay_config.ReplayConfig,
        discount: float,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 60.0,
        *,
        n_step: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Checks the server's table.

        Args:
          client: of the replay's server.
          layout: of the rows.
          config: tells the rows of an item, its initial priority and the rows in flight.
          discount: gamma of the n-step sums, in [0, 1].
          stop: ends a wait for the rate limiter.
          deadline_sec: time for which the server may be silent.
          n_step: steps over which a transition sums rewards.
          clock: seconds, for tests.

        Raises:
          ConfigError: the server has no such table, or one for other rows.
          RemoteTimeoutError: the server does not answer.
        """
        tables.check_tables(client, [tables.experience_shape(config, layout)])
        self._n_step, self._stop, self._clock = n_step, stop, clock
        self._windows = n_step_lib.WindowMaker(layout, n_step, discount)
        writer = bounded_writer.make_item_writer(client, tables.EXPERIENCE, config.initial_priority)
        self._append = writer.append
        self._bounded = bounded_writer.BoundedWriter(client, writer, deadline_sec, stop)
        # Half of the items in flight travel while the other half gathers here.
        self._max_burst_items = max(1, config.items_in_flight // 2)
        self._burst_items = 1
        self._rows_in_item = config.rows_in_item
        self._burst = np.empty((self._max_burst_items * self._rows_in_item, layout.row_size), np.float32)
        self._gatherers: list[n_step_lib.StepGatherer] = []
        self._fill = 0
        self._sent_at = clock()
        self._num_rows = 0
        self._blocked_sec = 0.0

    @property
    def blocked_sec(self) -> float:
        """Seconds spent waiting for the server so far, by its rate limiter above all."""
        return self._blocked_sec

    @property
    def num_rows(self) -> int:
        """Transitions written so far."""
        return self._num_rows

    def sinks(self, num_environments: int) -> list[n_step_lib.StepGatherer]:
        """New sinks, one for each of a collector's environments; a burst's worth of steps gathers in all of them together."""
        made = [n_step_lib.StepGatherer(self._n_step, 1, self._gather) for _ in range(num_environments)]
        self._gatherers += made
        self._set_block_sizes()
        return made

    def write(self, rows: np.ndarray) -> None:
        """Writes rows [M, row_size], which may be reused after the call. Returns early, without loss, if told to stop.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
        """
        first = 0
        while first < len(rows):
            size = self._burst_items * self._rows_in_item
            part = rows[first : first + size - self._fill]
            self._burst[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            first += len(part)
            if self._fill == size:
                self._send()
                os.sched_yield()  # to Reverb's thread, so that the burst travels during the next steps
                self._wait(self._burst_items)
                self._adapt()
        self._num_rows += len(rows)

    def flush(self) -> bool:
        """Waits until all rows are in the replay; False if the stop signal came first.

        An item that is not full is filled up with its own rows once more, so that none is lost.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
        """
        self._gather()
        self._send()
        return self._wait(0)

    def close(self) -> None:
        """Gives the last rows a moment to arrive, and says so where they did not."""
        self._gather()
        self._send()
        if not self._bounded.close(_CLOSE_SEC):
            logging.warning("The replay had not taken all of the last transitions when their writer was closed")

    def _gather(self) -> None:
        self.write(self._windows.make(n_step_lib.Steps(self._gatherers)))

    def _adapt(self) -> None:
        """Chooses the next burst's size by the time that the last one took, waits for the rate limiter included."""
        now = self._clock()
        elapsed_sec, self._sent_at = now - self._sent_at, now
        items = self._burst_items
        if elapsed_sec > _BURST_SEC:
            items = max(1, items // 2)
        elif elapsed_sec < _BURST_SEC / 4:
            items = min(2 * items, self._max_burst_items)
        if items != self._burst_items:
            self._burst_items = items
            self._set_block_sizes()

    def _set_block_sizes(self) -> None:
        rows = self._burst_items * self._rows_in_item
        for gatherer in self._gatherers:
            gatherer.set_block_size(max(1, rows // len(self._gatherers)))

    def _send(self) -> None:
        fill, self._fill = self._fill, 0
        size = self._rows_in_item
        for start in range(0, fill, size):
            item = self._burst[start : min(start + size, fill)]
            self._append(item if len(item) == size else np.resize(item, (size, item.shape[1])))

    def _wait(self, num_pending: int) -> bool:
        start = time.perf_counter()
        if self._stop is not None and self._stop.is_set():
            # Only a look: a loop that is told to stop may have some bursts to write before it sees it, and must not wait for each.
            is_done = self._bounded.try_wait(num_pending, 0.001)
        else:
            is_done = self._bounded.wait(num_pending)
        self._blocked_sec += time.perf_counter() - start
        return is_done
