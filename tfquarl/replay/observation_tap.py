"""Observations for calibration and parity: a tap in each collector, blocks in a small Reverb table, a pool in the converter."""

from collections import OrderedDict
from collections.abc import Callable
import threading
import time

from absl import logging
import numpy as np
import reverb

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.replay import bounded_writer
from tfquarl.replay import replay_config
from tfquarl.replay import server_calls
from tfquarl.replay import tables
from tfquarl.replay import transition

# Blocks that a tap fills with every observation, so that the first policy is not long in coming.
_EAGER_BLOCKS = 4
_MAX_PENDING_BLOCKS = 32
# Seconds that a block should take to fill, or more: more of them would tell the converter nothing new, and each costs as much as many steps.
_BLOCK_SEC = 0.1
# A block that takes this many times as long had too few observations.
_SLOW_BLOCKS = 2.5
_POLL_SEC = 0.1
_REFRESH_SEC = 1.0
_SERVER_INFO_SEC = 3


class ObservationTap:
    """The collector's end; an `interfaces.ObservationSink`. Blocks are dropped where the server does not take them."""

    def __init__(
        self,
        client: reverb.Client,
        layout: transition.TransitionLayout,
        config: replay_config.ReplayConfig,
        num_environments: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Checks the server's table.

        Args:
          client: of the server.
          layout: tells the observation size D.
          config: tells how often and in what blocks.
          num_environments: K, whose observations come in turns.
          clock: seconds, for tests.

        Raises:
          ConfigError: the server has no such table, or one for other blocks.
          RemoteTimeoutError: the server does not answer.
        """
        _check_table(client, layout, config)
        self._least_every = self._every = config.observation_every
        self._num_environments = num_environments
        self._clock, self._kept_at, self._begun_at = clock, clock(), clock()
        self._block = np.zeros((config.observation_block, layout.observation_size), np.float32)
        writer = bounded_writer.make_item_writer(client, tables.OBSERVATIONS)
        self._append = writer.append
        self._bounded = bounded_writer.BoundedWriter(client, writer, deadline_sec=0.0)
        self._countdown = 1
        self._fill = 0
        self._num_blocks = 0

    def add(self, observation: np.ndarray) -> None:
        """One observation [D]; every so many are kept, fewer of a fast environment's.

        Raises:
          NumericalError: a NaN or an infinity in one that is kept.
        """
        self._countdown -= 1
        if self._countdown == 0:
            self._keep(observation)

    def close(self) -> None:
        """Gives the last blocks a moment to arrive."""
        self._bounded.close(timeout_sec=0.2)

    def _keep(self, observation: np.ndarray) -> None:
        transition.check_finite("observation", observation)
        self._block[self._fill] = observation
        self._fill = (self._fill + 1) % len(self._block)
        is_full = self._fill == 0
        self._countdown = self._pace(is_full)
        if is_full:
            self._num_blocks += 1
            if self._bounded.try_wait(_MAX_PENDING_BLOCKS, 0.001):
                self._append(self._block)

    def _pace(self, is_full: bool) -> int:
        """Steps to the next observation that is kept: more where a whole block came fast, fewer again where one observation took as long."""
        now = self._clock()
        waited_sec, self._kept_at = now - self._kept_at, now
        filled_sec = now - self._begun_at
        if is_full:
            self._begun_at = now
        if self._num_blocks < _EAGER_BLOCKS:
            return 1
        if waited_sec > _BLOCK_SEC or (is_full and filled_sec > _SLOW_BLOCKS * _BLOCK_SEC):
            self._every = max(self._every // 2, self._least_every)
        elif is_full and filled_sec < _BLOCK_SEC:
            self._every *= 2
        # Another environment's turn each time, where a multiple of their number would show the same one for ever.
        num_environments = self._num_environments
        return self._every if num_environments == 1 else -(-self._every // num_environments) * num_environments + 1


class ObservationPool:
    """The converter's end; an `interfaces.ObservationSource`.

    The first half of every block is for calibration, the second for parity, for ever and for every reader: an observation that
    calibrated a policy never judges one, and one block is enough for both.
    """

    def __init__(
        self,
        client: reverb.Client,
        layout: transition.TransitionLayout,
        config: replay_config.ReplayConfig,
        num_observations: int = 256,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 300.0,
    ) -> None:
        """Checks the server's table.

        Args:
          client: of the server.
          layout: tells the observation size D.
          config: tells the blocks.
          num_observations: the newest so many are given for either purpose, once there are that many.
          stop: ends a wait.
          deadline_sec: time that a wait for the first observations may take.

        Raises:
          ConfigError: the server has no such table, or one for other blocks.
          RemoteTimeoutError: the server does not answer.
        """
        _check_table(client, layout, config)
        self._client = client
        self._num_observations = num_observations
        self._max_blocks = config.observation_blocks
        self._stop = stop or threading.Event()
        self._deadline_sec = deadline_sec
        self._caller = deadline.Caller(timeout_sec=10.0, stop=stop)
        self._refresh_time = 0.0
        # By name, in the order in which they were first seen.
        self._blocks: OrderedDict[int, np.ndarray] = OrderedDict()
        half = config.observation_block // 2
        self._calibration, self._held_out = slice(half), slice(half, None)

    def calibration(self) -> np.ndarray:
        """The newest observations for calibration [N, D], N >= 1.

        Raises:
          RemoteTimeoutError: there were none within the deadline.
          StoppedError: told to stop while waiting for them.
        """
        return self._newest(self._calibration)

    def held_out(self) -> np.ndarray:
        """The newest observations for parity [M, D], M >= 1.

        Raises:
          RemoteTimeoutError: there were none within the deadline.
          StoppedError: told to stop while waiting for them.
        """
        return self._newest(self._held_out)

    def _newest(self, part: slice) -> np.ndarray:
        start = time.perf_counter()
        while True:
            if not self._blocks or start - self._refresh_time > _REFRESH_SEC:
                self._refresh()
            if self._blocks:
                parts = [block[part] for block in self._blocks.values()]
                return np.concatenate(parts)[-self._num_observations :]
            if time.perf_counter() - start > self._deadline_sec:
                raise errors.RemoteTimeoutError(
                    f"no observations for calibration and parity within {self._deadline_sec:g} s; are collectors running?"
                )
            if self._stop.wait(_POLL_SEC):
                raise deadline.StoppedError("told to stop while waiting for observations")

    def _refresh(self) -> None:
        self._refresh_time = time.perf_counter()
        try:
            items = self._caller.call("sampling observations", self._sample)
        except errors.RemoteTimeoutError as error:
            logging.warning("%s; going on with the observations that are here", error)
            return
        for item in items:
            self._blocks.setdefault(item.key, item.value)
        while len(self._blocks) > self._max_blocks:
            self._blocks.popitem(last=False)

    def _sample(self) -> list[server_calls.Item]:
        # Reverb can't list a table: twice its size in uniform samples shows 86 % of it, and every refresh adds to that.
        size = server_calls.server_info(self._client, _SERVER_INFO_SEC)[tables.OBSERVATIONS].current_size
        return server_calls.sample(self._client, tables.OBSERVATIONS, 2 * size) if size else []


def _check_table(
    client: reverb.Client, layout: transition.TransitionLayout, config: replay_config.ReplayConfig
) -> None:
    shape = (config.observation_block, layout.observation_size)
    tables.check_tables(client, [tables.TableShape(tables.OBSERVATIONS, shape, "float32")])
