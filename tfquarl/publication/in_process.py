"""Publication in memory, for the program that runs all stations in one process."""

import threading
from typing import Generic
from typing import TypeVar

from tfquarl.core import records

_T = TypeVar("_T")


class LatestSource(Generic[_T]):
    """One reader of a `LatestValue`: `interfaces.SnapshotSource` and `ArtifactSource`."""

    def __init__(self, latest: "LatestValue[_T]") -> None:
        """Has seen nothing yet."""
        self._latest = latest
        self._seen = -1

    def poll(self) -> _T | None:
        """The newest value if it is newer than the last one given to this reader, else None."""
        version, value = self._latest.get()
        if value is None or version <= self._seen:
            return None
        self._seen = version
        return value


class LatestValue(Generic[_T]):
    """Holds the newest value; what is older than it is passed over. Threads may share it."""

    def __init__(self) -> None:
        """Holds nothing."""
        self._lock = threading.Lock()
        self._version = -1
        self._value: _T | None = None

    def put(self, version: int, value: _T) -> None:
        """Makes `value` the newest, unless a newer one is held."""
        with self._lock:
            if version >= self._version:
                self._version, self._value = version, value

    def get(self) -> tuple[int, _T | None]:
        """Version and value; (-1, None) before the first."""
        with self._lock:
            return self._version, self._value

    def source(self) -> LatestSource[_T]:
        """A new reader."""
        return LatestSource(self)


class LocalSnapshots(LatestValue[records.PolicySnapshot]):
    """An `interfaces.SnapshotSink`."""

    def newest_version(self) -> int | None:
        """The version last pushed; None if there is none."""
        version, value = self.get()
        return None if value is None else version

    def push(self, snapshot: records.PolicySnapshot) -> None:
        """Makes `snapshot` the newest one."""
        self.put(snapshot.version, snapshot)


class LocalPolicies(LatestValue[records.PolicyArtifact]):
    """An `interfaces.ArtifactSink`."""

    def publish(self, artifact: records.PolicyArtifact) -> None:
        """Makes `artifact` the newest one."""
        self.put(artifact.version, artifact)


class LocalEvaluations(LatestValue[tuple[records.PolicyArtifact, records.PolicyArtifact]]):
    """Pairs for the evaluator."""

    def publish_pair(self, quantized: records.PolicyArtifact, reference: records.PolicyArtifact) -> None:
        """Makes both the newest pair.

        Raises:
          ValueError: they are of different versions.
        """
        if quantized.version != reference.version:
            raise ValueError(f"a pair needs one version, got {quantized.version} and {reference.version}")
        self.put(quantized.version, (quantized, reference))
