"""Steps of a collector's environments in, n-step transitions in Reverb out, under the table's rate limiter."""

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
from tfquarl.replay import transition_sink


class TransitionWriter:
    """Writes for all environments of one collector, through one stream.

    Rows go out in bursts of whole items: each item by itself would wake Reverb's and gRPC's threads and cost half as much again. Where
    the rate limiter holds the collector back, the call that meets it waits; rows that were taken are never dropped: they also survive a server that
    goes away and comes back at its address.
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

        Raises:
          ConfigError: the server has no such table, or one for other rows.
          RemoteTimeoutError: the server does not answer.
        """
        tables.check_tables(client, [tables.experience_shape(config, layout)])
        self._layout, self._discount, self._n_step = layout, discount, n_step
        writer = bounded_writer.make_item_writer(client, tables.EXPERIENCE, config.initial_priority)
        self._append = writer.append
        self._bounded = bounded_writer.BoundedWriter(client, writer, deadline_sec, stop)
        # Half of the items in flight travel while the other half gathers here.
        items_in_burst = max(1, config.items_in_flight // 2)
        self._rows_in_item = config.rows_in_item
        self._burst = np.empty((items_in_burst * self._rows_in_item, layout.row_size), np.float32)
        self._max_items = max(1, config.items_in_flight - items_in_burst)
        self._sinks: list[transition_sink.TransitionSink] = []
        self._fill = 0
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

    def sinks(self, num_environments: int) -> list[transition_sink.TransitionSink]:
        """New sinks, one for each of a collector's environments; a burst's worth of steps gathers in all of them together."""
        steps_per_block = max(1, len(self._burst) // num_environments)
        made = []
        for _ in range(num_environments):
            accumulator = n_step_lib.NStepAccumulator(self._layout, self._n_step, self._discount, steps_per_block)
            made.append(transition_sink.TransitionSink(accumulator, self.write))
        self._sinks += made
        return made

    def write(self, rows: np.ndarray) -> None:
        """Writes rows [M, row_size], which may be reused after the call. Returns early, without loss, if told to stop.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
        """
        burst, first = self._burst, 0
        while first < len(rows):
            part = rows[first : first + len(burst) - self._fill]
            burst[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            first += len(part)
            if self._fill == len(burst):
                self._send()
                os.sched_yield()  # to Reverb's thread, so that the burst travels during the next steps
                self._wait(self._max_items)
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
        """Gives the last rows one second to arrive, and says so where they did not."""
        self._gather()
        self._send()
        if not self._bounded.close():
            logging.warning("The replay had not taken all of the last transitions when their writer was closed")

    def _gather(self) -> None:
        for sink in self._sinks:
            sink.flush()

    def _send(self) -> None:
        fill, self._fill = self._fill, 0
        size = self._rows_in_item
        for start in range(0, fill, size):
            item = self._burst[start : min(start + size, fill)]
            self._append(item if len(item) == size else np.resize(item, (size, item.shape[1])))

    def _wait(self, num_pending: int) -> bool:
        start = time.perf_counter()
        is_done = self._bounded.wait(num_pending)
        self._blocked_sec += time.perf_counter() - start
        return is_done
