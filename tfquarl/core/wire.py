"""Snapshots and artifacts as bytes: a JSON header, then raw arrays. Never pickle; sizes are checked before allocation.

    magic (8) | format (uint32) | header length (uint32) | sha256 of all that follows (32) | header | payload

The digest covers header and payload, so that a byte changed anywhere is refused.
"""

from collections.abc import Mapping
import hashlib
import json
import math
import struct
from typing import Any

import numpy as np

from tfquarl.core import errors
from tfquarl.core import records

MAX_HEADER_BYTES = 16 << 20
MAX_PAYLOAD_BYTES = 1 << 30

_MAGIC = b"tfquarl\0"
_FORMAT = 1
_PREFIX = struct.Struct("<8sII32s")


def pack_snapshot(snapshot: records.PolicySnapshot) -> bytes:
    """The snapshot as bytes that `unpack_snapshot` reads."""
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in snapshot.variables.items()}
    header = {
        "kind": "snapshot",
        "version": snapshot.version,
        "train_step": snapshot.train_step,
        "created_sec": snapshot.created_sec,
        "variables": [[name, list(value.shape)] for name, value in arrays.items()],
        "ranges": [[name, float(low), float(high)] for name, (low, high) in snapshot.ranges.items()],
    }
    return _pack(header, b"".join(value.tobytes() for value in arrays.values()))


def unpack_snapshot(data: bytes | np.ndarray) -> records.PolicySnapshot:
    """The snapshot that `pack_snapshot` wrote; its arrays are read-only views of `data`.

    Raises:
      ArtifactError: bytes that `pack_snapshot` can't have written.
    """
    header, payload = _unpack(data, "snapshot")
    with _malformed_header():
        version, train_step, created_sec = int(header["version"]), int(header["train_step"]), _time(header)
        listed = [(str(name), tuple(int(size) for size in shape)) for name, shape in header["variables"]]
        ranges = {str(name): (float(low), float(high)) for name, low, high in header.get("ranges", [])}
    variables, offset = {}, 0
    for name, shape in listed:
        if name in variables:
            raise errors.ArtifactError(f"snapshot {version}: two of its variables are named '{name}'")
        end = offset + 4 * math.prod(shape)
        if min(shape, default=1) < 0 or end > len(payload):
            raise errors.ArtifactError(
                f"snapshot {version}: variable '{name}' of shape {shape} goes beyond the payload's {len(payload)} bytes"
            )
        with _malformed_header():  # of shapes that numpy has none of, though their product is small
            variables[name] = np.frombuffer(payload[offset:end], np.float32).reshape(shape)
        offset = end
    if offset != len(payload):
        raise errors.ArtifactError(
            f"snapshot {version}: {len(payload) - offset} bytes are left after its last variable"
        )
    return records.PolicySnapshot(version, train_step, variables, created_sec, ranges)


def pack_artifact(artifact: records.PolicyArtifact) -> bytes:
    """The artifact as bytes that `unpack_artifact` reads."""
    header = {
        "kind": "artifact",
        "version": artifact.version,
        "train_step": artifact.train_step,
        "recipe": artifact.recipe,
        "manifest": dict(artifact.manifest),
        "created_sec": artifact.created_sec,
    }
    return _pack(header, artifact.model)


def unpack_artifact(data: bytes | np.ndarray) -> records.PolicyArtifact:
    """The artifact that `pack_artifact` wrote.

    Raises:
      ArtifactError: bytes that `pack_artifact` can't have written.
    """
    header, payload = _unpack(data, "artifact")
    with _malformed_header():
        return records.PolicyArtifact(
            int(header["version"]),
            int(header["train_step"]),
            str(header["recipe"]),
            bytes(payload),
            dict(header["manifest"]),
            _time(header),
        )


def _time(header: Mapping[str, Any]) -> float | None:
    value = header.get("created_sec")
    if value is not None and not math.isfinite(value):
        raise ValueError(f"created_sec is {value}")
    return value


def _pack(header: Mapping[str, Any], payload: bytes) -> bytes:
    head = json.dumps(header, allow_nan=False).encode()
    body = head + payload
    return _PREFIX.pack(_MAGIC, _FORMAT, len(head), hashlib.sha256(body).digest()) + body


def _unpack(data: bytes | np.ndarray, kind: str) -> tuple[dict[str, Any], memoryview]:
    view = memoryview(data).cast("B")  # pyright: ignore[reportArgumentType]
    if len(view) < _PREFIX.size:
        raise errors.ArtifactError(
            f"{kind}: {len(view)} bytes are less than the {_PREFIX.size} of its prefix; it was truncated"
        )
    magic, version, header_bytes, digest = _PREFIX.unpack(view[: _PREFIX.size])
    if magic != _MAGIC or version != _FORMAT:
        raise errors.ArtifactError(f"{kind}: starts with {magic!r} format {version}, needs {_MAGIC!r} format {_FORMAT}")
    body = view[_PREFIX.size :]
    if header_bytes > min(len(body), MAX_HEADER_BYTES) or len(body) - header_bytes > MAX_PAYLOAD_BYTES:
        raise errors.ArtifactError(
            f"{kind}: a header of {header_bytes} bytes does not fit its {len(body)} bytes or the limits"
        )
    if hashlib.sha256(body).digest() != digest:
        raise errors.ArtifactError(
            f"{kind}: its sha256 is not the one it was written with; it was truncated or altered"
        )
    with _malformed_header():
        header = json.loads(bytes(body[:header_bytes]))
        if header["kind"] != kind:
            raise errors.ArtifactError(f"these bytes hold a {header['kind']!r}, not a {kind!r}")
    return header, body[header_bytes:]


class _malformed_header:
    """Turns what a header of the wrong form makes Python raise into an `ArtifactError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None and isinstance(
            error, (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
        ):
            raise errors.ArtifactError(f"malformed header: {kind.__name__}: {error}") from error
