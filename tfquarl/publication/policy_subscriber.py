"""Artifacts as collectors and the evaluator get them: verified, never older than the last one."""

import numpy as np
import reverb

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.publication import latest_table
from tfquarl.publication import policy_publisher
from tfquarl.publication import signature
from tfquarl.publication import subscription


class PolicySubscriber:
    """A collector's end; an `interfaces.ArtifactSource`."""

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
          key: that artifacts must be signed with; None takes unsigned ones.
          stop: ends a wait for the server.
          deadline_sec: time that one poll may take.

        Raises:
          PublicationError: the server's tables are others.
          RemoteTimeoutError: the server does not answer.
        """
        name = policy_publisher.POLICY_TABLE
        table = latest_table.LatestTable(client, name, stop, deadline_sec)
        self._subscription = subscription.Subscription(table, signature.Signer(name, key), _unpack)

    def poll(self) -> records.PolicyArtifact | None:
        """The newest artifact if it is newer than the last one given, else None; also where the server does not answer.

        Raises:
          ArtifactError: the published bytes do not verify.
        """
        return self._subscription.poll()


class EvaluationSubscriber:
    """The evaluator's end."""

    def __init__(
        self,
        client: reverb.Client,
        key: bytes | None = None,
        stop: interfaces.StopSignal | None = None,
        deadline_sec: float = 10.0,
    ) -> None:
        """Checks the server's tables, as `PolicySubscriber` does."""
        name = policy_publisher.EVALUATION_TABLE
        table = latest_table.LatestTable(client, name, stop, deadline_sec)
        self._subscription = subscription.Subscription(table, signature.Signer(name, key), _unpack_pair)

    def poll(self) -> tuple[records.PolicyArtifact, records.PolicyArtifact] | None:
        """The newest pair, quantized and float, if it is newer than the last one given, else None.

        Raises:
          ArtifactError: the published bytes do not verify.
        """
        return self._subscription.poll()


def _unpack(payload: np.ndarray) -> tuple[int, records.PolicyArtifact]:
    artifact = wire.unpack_artifact(payload)
    return artifact.version, artifact


def _unpack_pair(payload: np.ndarray) -> tuple[int, tuple[records.PolicyArtifact, records.PolicyArtifact]]:
    prefix = policy_publisher.PAIR_PREFIX
    if len(payload) < prefix.size:
        raise errors.ArtifactError(
            f"evaluation pair: {len(payload)} bytes, needs {prefix.size} or more; it was truncated"
        )
    (size,) = prefix.unpack(payload[: prefix.size].tobytes())
    body = payload[prefix.size :]
    if size > len(body):
        raise errors.ArtifactError(f"evaluation pair: its first artifact has {size} bytes, only {len(body)} are there")
    quantized, reference = wire.unpack_artifact(body[:size]), wire.unpack_artifact(body[size:])
    if quantized.version != reference.version:
        raise errors.ArtifactError(f"evaluation pair: versions {quantized.version} and {reference.version} differ")
    return quantized.version, (quantized, reference)
