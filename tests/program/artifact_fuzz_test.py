"""Altered artifacts, snapshots and manifests: none crashes a reader, and none is taken for what it was.

TFQUARL_FUZZ_EXAMPLES sets how many alterations each test tries; the default suits every run of all tests.
"""

import dataclasses
import json
import os
import pathlib

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.program import archive
from tfquarl.program import artifact_file
from tfquarl.publication import signature

_SETTINGS = hypothesis.settings(
    max_examples=int(os.environ.get("TFQUARL_FUZZ_EXAMPLES", "300")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
_KEY = b"0123456789abcdef"
_MANIFEST = {
    "environment": {"name": "gym:CartPole-v1", "num_actions": 2, "fields": [["observation", [4], 0]]},
    "architecture": {"hidden_sizes": [64, 64], "head": "q_values"},
    "calibration": {"num_observations": 256, "sha256": "ab" * 32},
    "parity": {"passed": True, "figures": {"greedy_agreement": 0.99, "q_error": 1e-3}},
    "versions": {"numpy": "1.26.4"},
}
_ARTIFACT = records.PolicyArtifact(12, 600, "static_wi8_ai8", bytes(range(256)) * 2, _MANIFEST)
_SNAPSHOT = records.PolicySnapshot(
    12, 600, {"dense_0/kernel": np.arange(12, dtype=np.float32).reshape(3, 4), "dense_0/bias": np.ones(4, np.float32)}
)


def _alter(data: bytes, kind: str, position: int, length: int, fresh: bytes) -> bytes:
    """One alteration; positions count from the start, round and round."""
    start = position % (len(data) + 1)
    end = min(start + length, len(data))
    if kind == "flip":
        start = position % len(data)
        return data[:start] + bytes([data[start] ^ (fresh[0] or 1)]) + data[start + 1 :]
    if kind == "overwrite":
        return data[:start] + fresh + data[start + len(fresh) :]
    if kind == "cut":
        return data[:start] + data[end:]
    if kind == "insert":
        return data[:start] + fresh + data[start:]
    if kind == "repeat":
        return data[:end] + data[start:]
    return data[:start]  # "truncate"


_ALTERATIONS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["flip", "overwrite", "cut", "insert", "repeat", "truncate"]),
        strategies.integers(0, 1 << 16),
        strategies.integers(1, 64),
        strategies.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=4,
)


def _altered(data: bytes, alterations: list[tuple[str, int, int, bytes]]) -> bytes:
    for alteration in alterations:
        data = _alter(data, *alteration) or b"\0"
    return data


@_SETTINGS
@hypothesis.given(_ALTERATIONS)
def test_altered_artifact_on_the_wire(alterations):
    data = wire.pack_artifact(_ARTIFACT)
    altered = _altered(data, alterations)
    hypothesis.assume(altered != data)
    with pytest.raises(errors.ArtifactError):
        wire.unpack_artifact(altered)


@_SETTINGS
@hypothesis.given(_ALTERATIONS)
def test_altered_snapshot_on_the_wire(alterations):
    data = wire.pack_snapshot(_SNAPSHOT)
    altered = _altered(data, alterations)
    hypothesis.assume(altered != data)
    with pytest.raises(errors.ArtifactError):
        wire.unpack_snapshot(altered)


@_SETTINGS
@hypothesis.given(_ALTERATIONS)
def test_signed_payload_altered_by_one_who_can_write_to_the_server(alterations):
    signer = signature.Signer("policy", _KEY)
    data = signer.sign(wire.pack_artifact(_ARTIFACT))
    altered = _altered(data, alterations)
    hypothesis.assume(altered != data)
    with pytest.raises(errors.ArtifactError):
        signer.verify(np.frombuffer(altered, np.uint8))


@_SETTINGS
@hypothesis.given(_ALTERATIONS, strategies.sampled_from(["artifact", "snapshot"]))
def test_altered_header_under_a_right_digest(alterations, kind):
    """Whoever alters bytes can also make a new digest: a header of any form is an error or a record, and no crash."""
    artifact = {"kind": kind, "version": 12, "train_step": 600, "recipe": "x", "manifest": _MANIFEST}
    snapshot = {"kind": kind, "version": 12, "train_step": 600, "variables": [["dense_0/kernel", [3, 4]]]}
    head = _altered(json.dumps(artifact if kind == "artifact" else snapshot).encode(), alterations)
    body = head + bytes(48)
    data = wire._PREFIX.pack(wire._MAGIC, wire._FORMAT, len(head), wire.hashlib.sha256(body).digest()) + body
    unpack = wire.unpack_artifact if kind == "artifact" else wire.unpack_snapshot
    try:
        record = unpack(data)
    except errors.ArtifactError:
        return
    assert isinstance(record.version, int)


@pytest.mark.parametrize("key", [None, _KEY], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", ["manifest.json", "policy.tflite"])
@_SETTINGS
@hypothesis.given(alterations=_ALTERATIONS)
def test_altered_file_of_a_kept_policy(tmp_path: pathlib.Path, key: bytes | None, name: str, alterations):
    file = tmp_path / artifact_file.MODEL
    if not file.exists():
        artifact_file.write_artifact(_ARTIFACT, file, key)
        for path in (file, tmp_path / "manifest.json"):
            path.with_suffix(".whole").write_bytes(path.read_bytes())
    for path in (file, tmp_path / "manifest.json"):
        whole = path.with_suffix(".whole").read_bytes()
        path.write_bytes(_altered(whole, alterations) if path.name == name else whole)
    try:
        read = artifact_file.read_artifact(file, key)
    except errors.ArtifactError:
        return
    assert read == _ARTIFACT, "only what reads the same may be taken, such as white space between two values"


def test_a_policy_of_another_key_or_of_none_is_refused(tmp_path: pathlib.Path):
    for name, key in (("none", None), ("other", _KEY[::-1])):
        artifact_file.write_artifact(_ARTIFACT, tmp_path / f"{name}.tflite", key)
    with pytest.raises(errors.ArtifactError, match=r"none.json is not signed; with a key file only signed policies"):
        artifact_file.read_artifact(tmp_path / "none.tflite", _KEY)
    with pytest.raises(errors.ArtifactError, match=r"other.json is not signed by this key"):
        artifact_file.read_artifact(tmp_path / "other.tflite", _KEY)
    assert artifact_file.read_artifact(tmp_path / "other.tflite") == _ARTIFACT


@pytest.mark.parametrize(
    ("name", "limit"), [("policy.tflite", wire.MAX_PAYLOAD_BYTES), ("manifest.json", files.MAX_JSON_BYTES)]
)
def test_a_file_is_measured_before_it_is_read(tmp_path: pathlib.Path, name: str, limit: int):
    artifact_file.write_artifact(_ARTIFACT, tmp_path / artifact_file.MODEL)
    with (tmp_path / name).open("r+b") as file:
        file.truncate(limit + 1)  # which takes no room on the disk
    with pytest.raises(errors.ArtifactError, match=f"{name} has {limit + 1} bytes, at most {limit} are read"):
        artifact_file.read_artifact(tmp_path / artifact_file.MODEL)


def test_a_manifest_from_before_signatures_is_named(tmp_path: pathlib.Path):
    artifact_file.write_artifact(_ARTIFACT, tmp_path / artifact_file.MODEL)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["signature"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(errors.ArtifactError, match="has no 'signature'; it was altered, or kept by an older version"):
        artifact_file.read_artifact(tmp_path / artifact_file.MODEL)


def test_an_archive_signs_both_policies(tmp_path: pathlib.Path):
    class Verdict:
        """A verdict."""

        def to_json(self):
            return {"confirmed": True, "quantized": {"mean_return": 1.0}}

    reference = dataclasses.replace(_ARTIFACT, recipe="float32")
    archive.PolicyArchive(tmp_path, key=_KEY).save(_ARTIFACT, reference, Verdict())
    pair = archive.load_pair(tmp_path, key=_KEY)
    assert archive.load(tmp_path, key=_KEY) == pair.artifact == _ARTIFACT
    assert pair.reference == reference
