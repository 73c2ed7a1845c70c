"""Signatures: HMAC-SHA256 of published bytes, by a key that all processes of a run share; and of the manifests of kept policies."""

from collections.abc import Mapping
import hashlib
import hmac
import json
import pathlib
from typing import Any

import numpy as np

from tfquarl.core import errors

MIN_KEY_BYTES = 16
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


def read_key(path: pathlib.Path) -> bytes:
    """The key in a file, white space at its ends left out.

    Raises:
      ConfigError: the file can't be read, or its key is short.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise errors.ConfigError(f"key file {path}: {error.strerror}; give a file that this user may read") from error
    if len(key) < MIN_KEY_BYTES:
        raise errors.ConfigError(
            f"key file {path}: {len(key)} bytes, needs {MIN_KEY_BYTES} or more; make one with 'openssl rand -hex 32'"
        )
    return key
