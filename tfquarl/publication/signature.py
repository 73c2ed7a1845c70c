"""Signatures: HMAC-SHA256 of published bytes, by a key that all processes of a run share; and of the manifests of kept policies."""

from collections.abc import Mapping
import hashlib
import hmac
import json
import os
import pathlib
import stat
from typing import Any

import numpy as np

from tfquarl.core import errors

MIN_KEY_BYTES = 16
MAX_KEY_BYTES = 1 << 16
_MAC_BYTES = 32


class Signer:
    """Signs and verifies the payloads of one table; without a key it does neither."""

    def __init__(self, table: str, key: bytes | None = None) -> None:
        """Stores the key.

        Args:
          table: a payload signed for one table is refused in another.
          key: of `MIN_KEY_BYTES` or more; None lets unsigned payloads pass, whose digest is still checked.
        """
        if key is not None and len(key) < MIN_KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes, needs {MIN_KEY_BYTES} or more")
        self._table, self._key = table, key

    def sign(self, payload: bytes) -> bytes:
        """The payload with its signature behind it."""
        return payload if self._key is None else payload + self._mac(payload)

    def verify(self, payload: np.ndarray) -> np.ndarray:
        """The payload, uint8 [N], without its signature.

        Raises:
          ArtifactError: there is a key, and the signature isn't the one that the key makes.
        """
        if self._key is None:
            return payload
        body, mac = payload[:-_MAC_BYTES], payload[-_MAC_BYTES:]
        if not hmac.compare_digest(self._mac(body.tobytes()), mac.tobytes()):
            raise errors.ArtifactError(
                f"'{self._table}': {len(payload)} published bytes are not signed by this run's key; do all processes have the same"
                f" key file?"
            )
        return body

    def _mac(self, payload: bytes) -> bytes:
        mac = hmac.new(self._key or b"", f"{self._table}\0".encode(), hashlib.sha256)
        mac.update(payload)
        return mac.digest()


def sign_record(record: Mapping[str, Any], key: bytes | None) -> str:
    """'hmac-sha256:' and the digest of a JSON object by `key`; without a key 'sha256:' and its digest, which guards against damage only.

    Args:
      record: plain JSON values, without NaN.
      key: of `MIN_KEY_BYTES` or more, or None.
    """
    text = json.dumps(json.loads(json.dumps(record)), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if key is None:
        return f"sha256:{hashlib.sha256(text).hexdigest()}"
    return f"hmac-sha256:{hmac.new(key, text, hashlib.sha256).hexdigest()}"


def check_record(record: Mapping[str, Any], signature: str, key: bytes | None, source: str) -> None:
    """Checks a JSON object against what `sign_record` gave for it. Without a key a signed one passes unchecked: nobody here can tell.

    Raises:
      ArtifactError: the object was altered, or signed by another key; or there is a key, and it isn't signed.
    """
    if key is None and signature.startswith("hmac-sha256:"):
        return
    if hmac.compare_digest(sign_record(record, key).encode(), signature.encode()):
        return
    if key is None:
        raise errors.ArtifactError(f"{source} is not what was written there; it was altered")
    if not signature.startswith("hmac-sha256:"):
        raise errors.ArtifactError(f"{source} is not signed; with a key file only signed policies are used")
    raise errors.ArtifactError(f"{source} is not signed by this key; it was altered, or signed by another one")


def read_key(path: pathlib.Path, is_text: bool = True) -> bytes:
    """The key in a file, which is a key only as long as nobody else may read or write it.

    Args:
      path: of the file.
      is_text: whether white space at its ends is left out.

    Raises:
      ConfigError: the file can't be read, others have a part in it, or its key is short.
    """
    try:
        with path.open("rb") as file:
            status, content = os.fstat(file.fileno()), file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise errors.ConfigError(f"key file {path}: {error.strerror}; give a file that this user may read") from error
    _check_mode(path, status)
    key = content.strip() if is_text else content
    if len(key) < MIN_KEY_BYTES:
        raise errors.ConfigError(
            f"key file {path}: {len(key)} bytes, needs {MIN_KEY_BYTES} or more; make one with 'openssl rand -hex 32'"
        )
    return key


def _check_mode(path: pathlib.Path, status: os.stat_result) -> None:
    """As ssh has it: of a file of another owner, a secret that root mounts for one, this user can't change who reads it."""
    mode = stat.S_IMODE(status.st_mode)
    refused = stat.S_IWGRP | stat.S_IWOTH
    if status.st_uid == os.geteuid():
        refused |= stat.S_IRGRP | stat.S_IROTH
    if mode & refused:
        raise errors.ConfigError(
            f"key file {path}: its mode is {mode:04o}, so that others may read or write it; shut it by 'chmod 600 {path}'"
        )
