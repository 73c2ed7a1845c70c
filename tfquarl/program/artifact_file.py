"""One policy as files: the flatbuffer, and beside it a signed manifest that names the flatbuffer's sha256."""

from collections.abc import Mapping
import json
import pathlib
from typing import Any

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.publication import signature

MODEL = "policy.tflite"

_MANIFEST = "manifest.json"
_SIGNATURE = "signature"
_OWN_KEYS = ("version", "train_step", "recipe", "sha256", "size_bytes", _SIGNATURE)


def write_artifact(artifact: records.PolicyArtifact, model_file: pathlib.Path, key: bytes | None = None) -> None:
    """Writes the flatbuffer to `model_file` and its manifest beside it, the manifest last.

    The manifest holds the flatbuffer's sha256, and a signature of all that it holds: by `key`, or by nobody (a digest alone).

    Raises:
      StorageError: a file can't be written.
      ValueError: the manifest uses a key that the file needs for itself.
    """
    taken = sorted(set(_OWN_KEYS) & set(artifact.manifest))
    if taken:
        raise ValueError(f"policy {artifact.version}: its manifest has the reserved keys {taken}")
    manifest = {
        "version": artifact.version,
        "train_step": artifact.train_step,
        "recipe": artifact.recipe,
        "sha256": artifact.digest,
        "size_bytes": len(artifact.model),
        **artifact.manifest,
    }
    manifest[_SIGNATURE] = signature.sign_record(manifest, key)
    files.write_atomically(model_file, artifact.model)
    files.write_json(_manifest_file(model_file), manifest)


def read_artifact(model_file: pathlib.Path, key: bytes | None = None) -> records.PolicyArtifact:
    """The artifact that `write_artifact` wrote: `model_file` and its manifest beside it, '<name>.json' or 'manifest.json'.

    Args:
      model_file: of the policy.
      key: that it must be signed with; None takes any that is whole.

    Raises:
      ConfigError: one of the two files is missing.
      ArtifactError: the manifest is damaged or not signed by `key`, or the flatbuffer is not the one that it describes.
    """
    manifest_file = _manifest_file(model_file)
    if not manifest_file.is_file():
        manifest_file = model_file.with_name(_MANIFEST)
    for path in (model_file, manifest_file):
        if not path.is_file():
            raise errors.ConfigError(f"{path} is missing; a policy is a .tflite file with its manifest beside it")
    manifest = read_json(manifest_file)
    model = files.read_bytes(model_file, wire.MAX_PAYLOAD_BYTES)
    _check_signature(manifest_file, manifest, key)
    try:
        rest = {key: value for key, value in manifest.items() if key not in _OWN_KEYS}
        version, train_step = int(manifest["version"]), int(manifest["train_step"])
        artifact = records.PolicyArtifact(version, train_step, str(manifest["recipe"]), model, rest)
        expected = str(manifest["sha256"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise errors.ArtifactError(f"{manifest_file} lacks {error}; it is no manifest of a policy") from error
    if artifact.digest != expected:
        raise errors.ArtifactError(
            f"{model_file} has sha256 {artifact.digest[:12]}, its manifest says {expected[:12]}; it was truncated or altered"
        )
    return artifact


def _manifest_file(model_file: pathlib.Path) -> pathlib.Path:
    """'manifest.json' for the policy itself, else the model's own name with .json."""
    return model_file.with_name(_MANIFEST) if model_file.name == MODEL else model_file.with_suffix(".json")


def _check_signature(path: pathlib.Path, manifest: Mapping[str, Any], key: bytes | None) -> None:
    unsigned = dict(manifest)
    given = unsigned.pop(_SIGNATURE, None)
    if not isinstance(given, str):
        raise errors.ArtifactError(
            f"{path} has no '{_SIGNATURE}'; it was altered, or kept by an older version of tfquarl"
        )
    signature.check_record(unsigned, given, key, str(path))


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object that is read whole, however large a damaged file is.

    Raises:
      ArtifactError: the file holds something else, or is too large.
      StorageError: it can't be read.
    """
    try:
        return dict(json.loads(files.read_bytes(path, files.MAX_JSON_BYTES)))
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.ArtifactError(f"{path} is not a JSON object: {error}; was it edited?") from error
