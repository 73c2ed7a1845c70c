"""A value that only its newest version counts of, as bytes in two Reverb tables of size one: payload first, version last."""

import time
from typing import Any
from typing import NamedTuple

from absl import logging
import numpy as np
import reverb

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.replay import bounded_writer
from tfquarl.replay import server_calls
from tfquarl.replay import tables

_SERVER_INFO_SEC = 3
# A server that came back may have as many inserts as the one before it had.
_LOOK_ANYWAY_SEC = 1.0


def make_latest_tables(name: str) -> list[reverb.Table]:
    """The tables of `LatestTable(client, name)` for the server: '<name>' uint8[None] and '<name>_version' int64."""
    return [
        tables.make_newest_item_table(name, [None], "uint8"),
        tables.make_newest_item_table(_version_name(name), [], "int64"),
    ]


class Publication(NamedTuple):
    """What a table has.

    Attributes:
      announced: the version that its second table tells.
      version: the one that the payload was written with: a newer one where the publisher is between its two writes.
      payload: uint8 [N]; None, as it isn't fetched, where `announced` is older than what was asked for.
    """

    announced: int
    version: int
    payload: np.ndarray | None


class LatestTable:
    """Writer and reader of the tables that `make_latest_tables` gives. Not for several threads."""

    def __init__(
        self,
        client: reverb.Client,
        name: str,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 30.0,
    ) -> None:
        """Checks the server's tables.

        Args:
          client: of the server.
          name: of the payload's table.
          stop: ends waits early.
          deadline_sec: time for which the server may be silent.

        Raises:
          PublicationError: a table is missing, holds more than one item, or has another signature; with every failure.
          RemoteTimeoutError: the server does not answer.
        """
        failures = tables.table_failures(
            client,
            [
                tables.TableShape(name, (None,), "uint8", max_size=1),
                tables.TableShape(_version_name(name), (), "int64", max_size=1),
            ],
        )
        if failures:
            raise errors.PublicationError(
                f"Reverb server {client.server_address}: {'; '.join(failures)}; was it started by the same version of tfquarl?"
            )
        self._client, self._name = client, name
        self._caller = deadline.Caller(deadline_sec, stop)
        self._stop, self._deadline_sec = stop, deadline_sec
        self._unconfirmed: bounded_writer.BoundedWriter | None = None
        self._pushed: int | None = None
        self._version: int | None = None
        self._seen_inserts, self._look_sec = -1, 0.0

    def newest_version(self) -> int | None:
        """The version that the server has; None if nothing was published.

        Raises:
          RemoteTimeoutError: the server does not answer.
          StoppedError: told to stop while waiting for it.
        """
        return self._call("reading the version of", self._read_version)

    def push(self, version: int, payload: bytes) -> bool:
        """Publishes `payload` as `version`, of 0 or more.

        Returns:
          Whether it is the newest now: False if a newer one had been published, or the stop signal came before the server's
          confirmation.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
        """
        try:
            newest = self._call("reading the version of", self._read_version) if self._pushed is None else self._pushed
        except deadline.StoppedError:
            return False
        if newest is not None and version < newest:
            logging.error(
                "Not published: version %d of '%s' is older than %d, which was; number versions on from newest_version()",
                version,
                self._name,
                newest,
            )
            return False
        self._pushed = version
        # The priority tells which version a payload is of, should a newer one come between the reading of version and payload.
        return self._write(np.frombuffer(payload, np.uint8), self._name, float(version)) and self._write(
            np.int64(version), _version_name(self._name), 1.0
        )

    def poll(self, seen: int, announced: int | None = None, refused: int | None = None) -> Publication | None:
        """What is published; None where there is nothing new: nothing at all, or what is announced was seen or refused.

        Args:
          seen: version that the caller has.
          announced: version that was announced when it was read, if that was less: what is between the two was overtaken.
          refused: announced version that is not looked at again.

        Raises:
          RemoteTimeoutError: the server does not answer.
          StoppedError: told to stop while waiting for it.
        """
        return self._call("polling", self._fetch, seen, seen if announced is None else announced, refused)

    def close(self) -> None:
        """Gives an unconfirmed push one more second to arrive."""
        if self._unconfirmed is not None and not self._unconfirmed.close():
            logging.warning("The server had not taken the last version of '%s' when it was closed", self._name)

    def _call(self, what: str, function: Any, *args: Any) -> Any:
        return self._caller.call(f"{what} '{self._name}' of {self._client.server_address}", function, *args)

    def _fetch(self, seen: int, announced: int, refused: int | None) -> Publication | None:
        # A sample is a further call with a stream of its own, and most polls find nothing new.
        info = self._version_info()
        num_inserts, now = info.rate_limiter_info.insert_stats.completed, time.perf_counter()
        if num_inserts != self._seen_inserts or now - self._look_sec > _LOOK_ANYWAY_SEC:
            self._version = self._sample_version(info)
            self._seen_inserts, self._look_sec = num_inserts, now
        version = self._version
        if version is None or version == refused or announced <= version <= seen:
            return None
        if version < announced:
            return Publication(version, version, None)
        item = server_calls.sample(self._client, self._name)[0]
        return Publication(version, int(item.priority), item.value)

    def _read_version(self) -> int | None:
        return self._sample_version(self._version_info())

    def _version_info(self) -> Any:
        """The server's figures of the version's table."""
        return server_calls.server_info(self._client, _SERVER_INFO_SEC)[_version_name(self._name)]

    def _sample_version(self, info: Any) -> int | None:
        # Sampling an empty table would wait for ever.
        return int(server_calls.sample(self._client, _version_name(self._name))[0].value) if info.current_size else None

    def _write(self, value: np.ndarray | np.int64, table: str, priority: float) -> bool:
        # What an earlier call left unconfirmed is waited for first: it must not arrive after this value.
        if self._unconfirmed is not None and not self._unconfirmed.wait():
            return False
        # A writer takes arrays of one size only.
        writer = self._client.trajectory_writer(num_keep_alive_refs=1)
        self._unconfirmed = bounded_writer.BoundedWriter(self._client, writer, self._deadline_sec, self._stop)
        writer.append([value])
        history: Any = writer.history
        writer.create_item(table, priority, history[0][-1])
        if not self._unconfirmed.wait():
            return False
        self._unconfirmed.close()
        self._unconfirmed = None
        return True


def _version_name(name: str) -> str:
    return f"{name}_version"
