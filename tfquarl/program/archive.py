"""The policies that a run keeps: one directory a version, 'latest' and 'best' beside them, each written whole or not at all.

policies/12/policy.tflite          policies/latest -> 12
policies/12/manifest.json          policies/best -> 9
policies/12/policy_float32.tflite
policies/12/policy_float32.json
policies/12/evaluation.json
"""

from collections.abc import Mapping
import json
import math
import os
import pathlib
import shutil
import tempfile
from typing import Any
from typing import Protocol

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.core import wire
from tfquarl.publication import signature

POLICIES = "policies"
MODEL = "policy.tflite"
REFERENCE_MODEL = "policy_float32.tflite"

_MANIFEST = "manifest.json"
_EVALUATION = "evaluation.json"
_LINKS = ("best", "latest")
_REPLACED = "replaced"
_SIGNATURE = "signature"
_OWN_KEYS = ("version", "train_step", "recipe", "sha256", "size_bytes", _SIGNATURE)


class Evaluation(Protocol):
    """A verdict on a policy."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; 'confirmed' and then ['quantized']['mean_return'] are what 'best' goes by."""
        ...


class PolicyArchive:
    """Keeps judged policies in `run_dir`/policies. One process writes; any may read."""

    def __init__(self, run_dir: str | os.PathLike[str], max_to_keep: int = 5, key: bytes | None = None) -> None:
        """Names the archive; the directory is made by the first `save`.

        Args:
          run_dir: directory of the run.
          max_to_keep: how many versions stay beside 'latest' and 'best', the newest ones; >= 0.
          key: that policies are signed with; None leaves them unsigned.
        """
        if max_to_keep < 0:
            raise ValueError(f"max_to_keep is {max_to_keep}, needs to be at least 0")
        self._directory = pathlib.Path(run_dir) / POLICIES
        self._max_to_keep = max_to_keep
        self._key = key

    def save(
        self, quantized: records.PolicyArtifact, reference: records.PolicyArtifact, evaluation: Evaluation
    ) -> pathlib.Path:
        """Keeps a policy; points 'latest' at it and 'best' at the highest confirmed mean return, the newer of equal ones.

        While none is confirmed the highest first look is best: a return that was picked for being high is too high.

        Args:
          quantized: the policy that is deployed.
          reference: the float policy of the same snapshot.
          evaluation: the verdict; a version that was kept before is replaced, with its verdict.

        Returns:
          The directory of this version.

        Raises:
          StorageError: no space or no permission; what was kept before is untouched.
        """
        verdict = evaluation.to_json()
        directory = self._directory / str(quantized.version)
        with files.storage_errors(f"keeping policy {quantized.version} in {self._directory}"):
            self._directory.mkdir(parents=True, exist_ok=True)
            for leftover in self._leftovers():
                _put_back(leftover / _REPLACED, self._directory / leftover.name.split(".")[1])
            self._replace(directory, quantized, reference, verdict)
            self._link("latest", quantized.version)
            self._link("best", max(self.versions(), key=self._rank))
            self._remove_old()
        return directory

    def versions(self) -> list[int]:
        """The versions that are kept, in ascending order."""
        if not self._directory.is_dir():
            return []
        return sorted(int(entry.name) for entry in self._directory.iterdir() if entry.name.isdigit())

    def evaluations(self) -> list[dict[str, Any]]:
        """The verdicts on these versions, in the same order, but for those that were removed meanwhile.

        Raises:
          ArtifactError: one is damaged.
        """
        verdicts = [self._verdict(version) for version in self.versions()]
        return [verdict for verdict in verdicts if verdict is not None]

    def _replace(
        self,
        directory: pathlib.Path,
        quantized: records.PolicyArtifact,
        reference: records.PolicyArtifact,
        verdict: Mapping[str, Any],
    ) -> None:
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=self._directory) as temporary:
            new = pathlib.Path(temporary) / "new"
            new.mkdir()
            write_artifact(quantized, new / MODEL, self._key)
            write_artifact(reference, new / REFERENCE_MODEL, self._key)
            files.write_json(new / _EVALUATION, verdict)
            replaced = pathlib.Path(temporary) / _REPLACED
            try:
                if directory.exists():
                    directory.rename(replaced)
                new.rename(directory)
            finally:
                _put_back(replaced, directory)
        files.sync_directory(self._directory)

    def _remove(self, directory: pathlib.Path) -> None:
        """At once, as others see it: whoever reads meanwhile, or comes after a kill, finds all of the version or nothing."""
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=self._directory) as temporary:
            directory.rename(pathlib.Path(temporary) / "old")

    def _link(self, name: str, version: int) -> None:
        temporary = self._directory / f".{name}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(str(version))
        temporary.replace(self._directory / name)

    def _rank(self, version: int) -> tuple[bool, float, int]:
        verdict = self._verdict(version)
        if verdict is None:  # what is left of that version is not the best
            return False, -math.inf, version
        try:
            confirmed, value = bool(verdict["confirmed"]), verdict["quantized"]["mean_return"]
        except (KeyError, TypeError) as error:
            path = self._directory / str(version) / _EVALUATION
            raise errors.ArtifactError(
                f"{path} lacks 'confirmed' or a quantized 'mean_return'; was it edited?"
            ) from error
        return confirmed, -math.inf if value is None else float(value), version

    def _verdict(self, version: int) -> dict[str, Any] | None:
        """None where the run removed the version since it was listed, or somebody deleted the file."""
        try:
            return _read_json(self._directory / str(version) / _EVALUATION)
        except errors.StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def _remove_old(self) -> None:
        linked = {os.readlink(self._directory / name) for name in _LINKS}
        others = [version for version in self.versions() if str(version) not in linked]
        for version in others[: len(others) - self._max_to_keep]:
            self._remove(self._directory / str(version))
        for leftover in self._leftovers():
            shutil.rmtree(leftover)

    def _leftovers(self) -> list[pathlib.Path]:
        """Temporary directories of a process that was killed while it saved, '.<version>.<random>'."""
        return list(self._directory.glob(".*.*"))


def _put_back(replaced: pathlib.Path, directory: pathlib.Path) -> None:
    """Undoes the first half of a replacement whose second half never came."""
    if replaced.is_dir() and not directory.exists():
        replaced.rename(directory)


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
    manifest = _read_json(manifest_file)
    model = _read_bytes(model_file, wire.MAX_PAYLOAD_BYTES)
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


def find_model(path: str | os.PathLike[str], version: str = "best", model: str = MODEL) -> pathlib.Path:
    """The .tflite file that a user means.

    Args:
      path: a .tflite file, a directory of one version, or the directory of a run.
      version: which of a run's policies: 'best', 'latest' or a number.
      model: `MODEL` or `REFERENCE_MODEL`; not used where `path` is a file.

    Raises:
      ConfigError: there is no such policy.
    """
    path = pathlib.Path(path)
    if path.is_file():
        return path
    if (path / MODEL).is_file():
        return path / model
    if version not in _LINKS and not version.isdigit():
        raise errors.ConfigError(f"policy version is '{version}', needs 'best', 'latest' or a number")
    policies = path if path.name == POLICIES else path / POLICIES
    if not (policies / version / model).is_file():
        kept = sorted((entry.name for entry in policies.glob("[!.]*")), key=lambda name: (len(name), name))
        there = f"it has {', '.join(kept)}" if kept else "it has none"
        raise errors.ConfigError(f"{path} has no policy '{version}': {there}; give a run directory or a .tflite file")
    return policies / version / model


def load(path: str | os.PathLike[str], version: str = "best", key: bytes | None = None) -> records.PolicyArtifact:
    """The quantized policy that a user means, verified; arguments and errors as of `find_model` and `read_artifact`."""
    return read_artifact(find_model(path, version), key)


def load_reference(
    path: str | os.PathLike[str], version: str = "best", key: bytes | None = None
) -> records.PolicyArtifact:
    """The float policy beside the one that `load` gives, verified; `path` is a directory or the quantized .tflite.

    Raises:
      ConfigError: there is none.
      ArtifactError: it is damaged.
    """
    return read_artifact(find_model(path, version).with_name(REFERENCE_MODEL), key)


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


def _read_bytes(path: pathlib.Path, limit: int) -> bytes:
    """A file's bytes, which are counted before there is memory for them."""
    with files.storage_errors(f"reading {path}"), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise errors.ArtifactError(f"{path} has {size} bytes, at most {limit} are read; it is no file of a policy")
        return file.read(limit)


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        return dict(json.loads(_read_bytes(path, wire.MAX_HEADER_BYTES)))
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.ArtifactError(f"{path} is not a JSON object: {error}; was it edited?") from error
