"""Float snapshots from the learner to the converter."""

import numpy as np
import reverb

from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.publication import latest_table
from tfquarl.publication import signature
from tfquarl.publication import subscription

TABLE = "snapshot"


class SnapshotPublisher:
    """The learner's end; an `interfaces.SnapshotSink`."""

    def __init__(
        self,
        client: reverb.Client,
        key: bytes | None = None,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 30.0,
    ) -> None:
        """Checks the server's tables.

        Args:
          client: of the server.
          key: signs; None leaves snapshots unsigned.
          stop: ends a wait for the server.
          deadline_sec: time for which the server may be silent.

        Raises:
          PublicationError: the server's tables are others.
          RemoteTimeoutError: the server does not answer.
        """
        self._table = latest_table.LatestTable(client, TABLE, stop, deadline_sec)
        self._signer = signature.Signer(TABLE, key)

    def newest_version(self) -> int | None:
        """The version last published, by an earlier learner of the run too; None if there is none.

        Raises:
          RemoteTimeoutError: the server does not answer.
        """
        return self._table.newest_version()

    def push(self, snapshot: records.PolicySnapshot) -> None:
        """Makes `snapshot` the newest one; one older than what was published is logged and left out.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
        """
        self._table.push(snapshot.version, self._signer.sign(wire.pack_snapshot(snapshot)))

    def close(self) -> None:
        """Gives an unconfirmed push a moment to arrive."""
        self._table.close()


class SnapshotSubscriber:
    """The converter's end; an `interfaces.SnapshotSource`."""

    def __init__(
        self,
        client: reverb.Client,
        key: bytes | None = None,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 10.0,
    ) -> None:
        """Checks the server's tables.

        Args:
          client: of the server.
          key: that snapshots must be signed with; None takes unsigned ones.
          stop: ends a wait for the server.
          deadline_sec: time that one poll may take.

        Raises:
          PublicationError: the server's tables are others.
          RemoteTimeoutError: the server does not answer.
        """
        table = latest_table.LatestTable(client, TABLE, stop, deadline_sec)
        self._subscription = subscription.Subscription(table, signature.Signer(TABLE, key), _unpack)

    def poll(self) -> records.PolicySnapshot | None:
        """The newest snapshot if it is newer than the last one given, else None; also where the server does not answer.

        Raises:
          ArtifactError: the published bytes do not verify.
        """
        return self._subscription.poll()


def _unpack(payload: np.ndarray) -> tuple[int, records.PolicySnapshot]:
    snapshot = wire.unpack_snapshot(payload)
    return snapshot.version, snapshot
