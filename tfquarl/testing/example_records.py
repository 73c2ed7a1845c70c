"""Small snapshots and artifacts for tests, told apart by their version."""

import numpy as np

from tfquarl.core import records


def snapshot(version: int) -> records.PolicySnapshot:
    """Two variables whose elements are all `version`."""
    return records.PolicySnapshot(
        version,
        10 * version,
        {"head/kernel": np.full((2, 3), version, np.float32), "head/bias": np.full(3, version, np.float32)},
    )


def artifact(version: int, recipe: str = "static_wi8_ai8") -> records.PolicyArtifact:
    """A model of 64 bytes, all `version` modulo 256."""
    return records.PolicyArtifact(version, 10 * version, recipe, bytes([version % 256]) * 64, {"parity": {"max": 0.5}})
