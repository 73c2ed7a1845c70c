"""Artifacts from the converter to collectors, and pairs of them to the evaluator."""

import struct

import reverb

from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.publication import latest_table
from tfquarl.publication import signature

POLICY_TABLE = "policy"
EVALUATION_TABLE = "evaluation"

# Bytes of the first of a pair's two packed artifacts.
PAIR_PREFIX = struct.Struct("<Q")


class PolicyPublisher:
    """The converter's end; an `interfaces.ArtifactSink`."""

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
          key: signs; None leaves artifacts unsigned.
          stop: ends a wait for the server.
          deadline_sec: time for which the server may be silent.

        Raises:
          PublicationError: the server's tables are others.
          RemoteTimeoutError: the server does not answer.
        """
        self._table = latest_table.LatestTable(client, POLICY_TABLE, stop, deadline_sec)
        self._signer = signature.Signer(POLICY_TABLE, key)

    def newest_version(self) -> int | None:
        """The version last published, by an earlier converter of the run too; None if there is none.

        Raises:
          RemoteTimeoutError: the server does not answer.
        """
        return self._table.newest_version()

    def publish(self, artifact: records.PolicyArtifact) -> None:
        """Makes `artifact` the newest one; one older than what was published is logged and left out.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
        """
        self._table.push(artifact.version, self._signer.sign(wire.pack_artifact(artifact)))

    def close(self) -> None:
        """Gives an unconfirmed artifact a moment to arrive."""
        self._table.close()


class EvaluationPublisher:
    """The converter's end towards the evaluator, which judges a quantized policy beside its float original."""

    def __init__(
        self,
        client: reverb.Client,
        key: bytes | None = None,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 30.0,
    ) -> None:
        """Checks the server's tables, as `PolicyPublisher` does."""
        self._table = latest_table.LatestTable(client, EVALUATION_TABLE, stop, deadline_sec)
        self._signer = signature.Signer(EVALUATION_TABLE, key)

    def publish_pair(self, quantized: records.PolicyArtifact, reference: records.PolicyArtifact) -> None:
        """Makes both the newest pair, in one payload; one older than what was published is logged and left out.

        Raises:
          RemoteTimeoutError: the server was silent for too long.
          ValueError: they are of different versions.
        """
        if quantized.version != reference.version:
            raise ValueError(f"a pair needs one version, got {quantized.version} and {reference.version}")
        first, second = wire.pack_artifact(quantized), wire.pack_artifact(reference)
        self._table.push(quantized.version, self._signer.sign(PAIR_PREFIX.pack(len(first)) + first + second))

    def close(self) -> None:
        """Gives an unconfirmed pair a moment to arrive."""
        self._table.close()
