"""Tests of tfquarl.core.wire: round trips, and that nothing altered is read."""

import dataclasses
import hashlib
import json

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.testing import example_records


def repack(header: object, payload: bytes) -> bytes:
    """Bytes with a sound digest around any header."""
    return wire._pack(header, payload)  # type: ignore[arg-type]


SNAPSHOT = wire.pack_snapshot(example_records.snapshot(3))
ARTIFACT = wire.pack_artifact(example_records.artifact(7))
PREFIX_BYTES = 48


def test_snapshot_comes_back():
    snapshot = wire.unpack_snapshot(SNAPSHOT)
    assert (snapshot.version, snapshot.train_step) == (3, 30)
    assert list(snapshot.variables) == ["head/kernel", "head/bias"]
    np.testing.assert_array_equal(snapshot.variables["head/kernel"], np.full((2, 3), 3, np.float32))
    assert snapshot.variables["head/bias"].dtype == np.float32


def test_artifact_comes_back():
    assert wire.unpack_artifact(ARTIFACT) == example_records.artifact(7)


@pytest.mark.parametrize("created_sec", [None, 12.25])
def test_time_of_the_snapshot_comes_back(created_sec: float | None):
    snapshot = dataclasses.replace(example_records.snapshot(3), created_sec=created_sec)
    artifact = dataclasses.replace(example_records.artifact(7), created_sec=created_sec)
    assert wire.unpack_snapshot(wire.pack_snapshot(snapshot)).created_sec == created_sec
    assert wire.unpack_artifact(wire.pack_artifact(artifact)).created_sec == created_sec


@pytest.mark.parametrize("created_sec", ["soon", float("nan"), [1.0]], ids=["text", "nan", "list"])
def test_time_that_is_none_is_refused(created_sec: object):
    header = {"kind": "snapshot", "version": 1, "train_step": 0, "variables": [], "created_sec": created_sec}
    head = json.dumps(header).encode()
    data = wire._PREFIX.pack(b"tfquarl\0", 1, len(head), hashlib.sha256(head).digest()) + head
    with pytest.raises(errors.ArtifactError, match="malformed header"):
        wire.unpack_snapshot(data)


def test_ranges_of_a_quantized_network_come_back():
    ranges = {"scaled_observation": (-1.5, float(np.float32(0.1))), "head": (0.0, 3e38)}
    snapshot = records.PolicySnapshot(1, 0, {}, ranges=ranges)
    assert wire.unpack_snapshot(wire.pack_snapshot(snapshot)).ranges == ranges


def test_reads_numpy_bytes():
    assert wire.unpack_artifact(np.frombuffer(ARTIFACT, np.uint8)) == example_records.artifact(7)
    assert wire.unpack_snapshot(np.frombuffer(SNAPSHOT, np.uint8)).version == 3


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        wire.unpack_snapshot(SNAPSHOT).variables["head/bias"][0] = 1  # type: ignore[index]


def test_order_of_the_array_in_memory_does_not_matter():
    kernel = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    snapshot = records.PolicySnapshot(1, 0, {"kernel": kernel})
    np.testing.assert_array_equal(wire.unpack_snapshot(wire.pack_snapshot(snapshot)).variables["kernel"], kernel)


def test_not_a_number_in_a_manifest_is_not_written():
    artifact = records.PolicyArtifact(1, 0, "float32", b"", {"error": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        wire.pack_artifact(artifact)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "0 bytes are less than", id="empty"),
        pytest.param(ARTIFACT[:20], "truncated", id="half a prefix"),
        pytest.param(ARTIFACT[:-1], "altered", id="last byte missing"),
        pytest.param(ARTIFACT + b"\0", "altered", id="one byte more"),
        pytest.param(b"TFL3" + ARTIFACT[4:], "starts with", id="other magic"),
        pytest.param(ARTIFACT[:8] + b"\2" + ARTIFACT[9:], "format 2", id="other format"),
        pytest.param(ARTIFACT[:12] + b"\xff\xff\xff\xff" + ARTIFACT[16:], "does not fit", id="giant header"),
        pytest.param(SNAPSHOT, "not a 'artifact'", id="a snapshot"),
        pytest.param(repack({"kind": "artifact"}, b""), "KeyError", id="no version"),
        pytest.param(repack([], b""), "TypeError", id="header is a list"),
        pytest.param(
            repack({"kind": "artifact", "version": "x", "train_step": 0, "recipe": "", "manifest": {}}, b""),
            "ValueError",
            id="version is a word",
        ),
    ],
)
def test_refuses_artifact(data: bytes, message: str):
    with pytest.raises(errors.ArtifactError, match=message):
        wire.unpack_artifact(data)


def snapshot_header(variables: object) -> dict[str, object]:
    return {"kind": "snapshot", "version": 1, "train_step": 0, "variables": variables}


@pytest.mark.parametrize(
    ("variables", "payload_bytes", "message"),
    [
        pytest.param([["a", [2, 2]]], 12, "beyond the payload", id="too little payload"),
        pytest.param([["a", [2]]], 12, "4 bytes are left", id="too much payload"),
        pytest.param([["a", [-1]]], 4, "beyond the payload", id="negative size"),
        pytest.param([["a", [1 << 62, 1 << 62]]], 4, "beyond the payload", id="size beyond all memory"),
        pytest.param([["a", [1 << 62, 4, 0]]], 0, "ValueError", id="size beyond numpy, of nothing"),
        pytest.param([["a", [1] * 100]], 4, "ValueError", id="more dimensions than numpy's"),
        pytest.param([["a", [1]], ["a", [1]]], 8, "two of its variables are named 'a'", id="one name twice"),
        pytest.param([["a", [2], 3]], 8, "ValueError", id="three fields"),
        pytest.param(7, 0, "TypeError", id="variables are a number"),
    ],
)
def test_refuses_snapshot(variables: object, payload_bytes: int, message: str):
    with pytest.raises(errors.ArtifactError, match=message):
        wire.unpack_snapshot(repack(snapshot_header(variables), bytes(payload_bytes)))


def test_refuses_deeply_nested_header():
    body = b'{"kind":' + b"[" * 100_000
    data = wire._PREFIX.pack(b"tfquarl\0", 1, len(body), wire.hashlib.sha256(body).digest()) + body
    with pytest.raises(errors.ArtifactError, match="malformed header"):
        wire.unpack_artifact(data)


@hypothesis.settings(max_examples=500, deadline=None)
@hypothesis.given(
    data=strategies.sampled_from([SNAPSHOT, ARTIFACT]),
    changes=strategies.dictionaries(
        strategies.integers(0, 10_000), strategies.integers(1, 255), min_size=1, max_size=8
    ),
)
def test_no_altered_byte_is_accepted(data: bytes, changes: dict[int, int]):
    altered = bytearray(data)
    # Distinct positions, each changed by something other than 0: the bytes do differ.
    for position in {position % len(data) for position in changes}:
        altered[position] ^= next(iter(changes.values()))
    for unpack in (wire.unpack_artifact, wire.unpack_snapshot):
        with pytest.raises(errors.ArtifactError):
            unpack(bytes(altered))


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(data=strategies.binary(max_size=300))
def test_random_bytes_raise_nothing_else(data: bytes):
    for unpack in (wire.unpack_artifact, wire.unpack_snapshot):
        with pytest.raises(errors.ArtifactError):
            unpack(data)


json_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | strategies.text(max_size=5),
    lambda children: (
        strategies.lists(children, max_size=3)
        | strategies.dictionaries(strategies.text(max_size=5), children, max_size=3)
    ),
    max_leaves=6,
)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(value=json_values, name=strategies.sampled_from(["version", "train_step", "variables", "kind"]))
def test_any_header_is_read_or_refused(value: object, name: str):
    header = {**snapshot_header([["a", [1]]]), name: value}
    try:
        snapshot = wire.unpack_snapshot(repack(header, bytes(4)))
    except errors.ArtifactError:
        return
    assert sum(array.nbytes for array in snapshot.variables.values()) == 4


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
    shapes=strategies.dictionaries(
        strategies.text(min_size=1, max_size=10), strategies.lists(strategies.integers(0, 4), max_size=3), max_size=4
    ),
    version=strategies.integers(0, 1 << 60),
)
def test_any_snapshot_comes_back(shapes: dict[str, list[int]], version: int):
    random = np.random.default_rng(0)
    variables = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    snapshot = wire.unpack_snapshot(wire.pack_snapshot(records.PolicySnapshot(version, 5, variables)))
    assert snapshot.version == version and list(snapshot.variables) == list(variables)
    for name, value in variables.items():
        np.testing.assert_array_equal(snapshot.variables[name], value)


def test_refuses_infinite_version():
    body = b'{"kind":"artifact","version":1e999,"train_step":0,"recipe":"","manifest":{}}'
    data = wire._PREFIX.pack(b"tfquarl\0", 1, len(body), wire.hashlib.sha256(body).digest()) + body
    with pytest.raises(errors.ArtifactError, match="OverflowError"):
        wire.unpack_artifact(data)


def test_header_is_plain_json():
    header_bytes = int.from_bytes(ARTIFACT[12:16], "little")
    header = json.loads(ARTIFACT[PREFIX_BYTES : PREFIX_BYTES + header_bytes])
    assert header["kind"] == "artifact" and header["manifest"] == {"parity": {"max": 0.5}}
