"""Tests of tfquarl.publication.signature."""

import os
import pathlib

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.publication import signature

KEY = b"0123456789abcdef"


def received(payload: bytes) -> np.ndarray:
    return np.frombuffer(payload, np.uint8)


def test_without_a_key_payloads_pass_as_they_are():
    signer = signature.Signer("policy")
    assert signer.sign(b"abc") == b"abc"
    assert signer.verify(received(b"abc")).tobytes() == b"abc"


def test_signed_payload_comes_back():
    signer = signature.Signer("policy", KEY)
    assert len(signer.sign(b"abc")) == 3 + 32
    assert signer.verify(received(signer.sign(b"abc"))).tobytes() == b"abc"


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"abc", id="unsigned"),
        pytest.param(b"abc" * 40, id="long and unsigned"),
        pytest.param(signature.Signer("policy", KEY[::-1]).sign(b"abc"), id="another key"),
        pytest.param(signature.Signer("snapshot", KEY).sign(b"abc"), id="another table"),
        pytest.param(signature.Signer("policy", KEY).sign(b"abc")[:-1], id="truncated"),
    ],
)
def test_refuses(payload: bytes):
    with pytest.raises(errors.ArtifactError, match="not signed by this run's key"):
        signature.Signer("policy", KEY).verify(received(payload))


@hypothesis.given(position=strategies.integers(0, 66), change=strategies.integers(1, 255))
def test_no_altered_byte_passes(position: int, change: int):
    signer = signature.Signer("policy", KEY)
    altered = bytearray(signer.sign(b"abcde" * 7))
    altered[position] ^= change
    with pytest.raises(errors.ArtifactError):
        signer.verify(received(bytes(altered)))


def test_key_must_be_long():
    with pytest.raises(ValueError, match="15 bytes, needs 16"):
        signature.Signer("policy", KEY[1:])


def test_key_from_a_file(tmp_path: pathlib.Path):
    path = tmp_path / "key"
    path.write_bytes(b" " + KEY + b"\n")
    path.chmod(0o600)
    assert signature.read_key(path) == KEY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"short\n", "5 bytes, needs 16 or more; make one with", id="short"),
    ],
)
def test_bad_key_file(tmp_path: pathlib.Path, content: bytes | None, message: str):
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(errors.ConfigError, match=message):
        signature.read_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_key_file_that_others_have_a_part_in_is_refused(tmp_path: pathlib.Path, mode: int):
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(mode)
    with pytest.raises(errors.ConfigError, match=f"its mode is {mode:04o}, .* shut it by 'chmod 600 {path}'"):
        signature.read_key(path)


@pytest.mark.parametrize(("mode", "is_taken"), [(0o444, True), (0o440, True), (0o464, False), (0o446, False)])
def test_a_key_file_of_another_owner_may_be_read_by_others(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_taken: bool
):
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(mode)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    if is_taken:
        assert signature.read_key(path) == KEY
    else:
        with pytest.raises(errors.ConfigError, match=f"its mode is {mode:04o}"):
            signature.read_key(path)
