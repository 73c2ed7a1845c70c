"""The policies that a run keeps: one directory a version, 'latest' and 'best' beside them, each written whole or not at all.

policies/12/policy.tflite          policies/latest -> 12
policies/12/manifest.json          policies/best -> 9
policies/12/policy_float32.tflite
policies/12/policy_float32.json
policies/12/evaluation.json
"""

from collections.abc import Mapping
import dataclasses
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
from tfquarl.program import artifact_file

POLICIES = "policies"
REFERENCE_MODEL = "policy_float32.tflite"

_EVALUATION = "evaluation.json"
_LINKS = ("best", "latest")
_REFERENCE_RECIPE = "float32"
_REPLACED = "replaced"


class Evaluation(Protocol):
    """A verdict on a policy."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; 'confirmed' and then ['quantized']['mean_return'] are what 'best' goes by."""
        ...


@dataclasses.dataclass(frozen=True)
class Pair:
    """A policy from the disk with the float one of the same weights.

    Attributes:
      model_file: of the policy.
      artifact: it; quantized, unless the user asked for the float one.
      reference: the float policy of the same version, which is the artifact itself where that is a float one with none beside it; None where
        there is none.
    """

    model_file: pathlib.Path
    artifact: records.PolicyArtifact
    reference: records.PolicyArtifact | None

    def reference_for(self, purpose: str) -> records.PolicyArtifact:
        """The float policy; raises `ConfigError` where there is none, with the `purpose` that needs it."""
        if self.reference is None:
            raise errors.ConfigError(
                f"{self.model_file} has no float policy of the same version beside it; {purpose} need {REFERENCE_MODEL} with its manifest "
                "there"
            )
        return self.reference


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
          StorageError: no space or no permission, or something else than a policy in a link's place; what was kept before is untouched.
        """
        verdict = evaluation.to_json()
        directory = self._directory / str(quantized.version)
        with files.storage_errors(f"keeping policy {quantized.version} in {self._directory}"):
            self._directory.mkdir(parents=True, exist_ok=True)
            for leftover in self._leftovers():
                _put_back(leftover / _REPLACED, self._directory / leftover.name.split(".")[1])
            for name in _LINKS:
                self._clear(name)
            self._replace(directory, quantized, reference, verdict)
            self._link("latest", quantized.version)
            self._link("best", max(self.versions(), key=self._rank))
            self._remove_old()
        return directory

    def versions(self) -> list[int]:
        """The versions that are kept, in ascending order."""
        if not self._directory.is_dir():
            return []
        return sorted(int(entry.name) for entry in self._directory.iterdir() if _is_version(entry.name))

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
            artifact_file.write_artifact(quantized, new / artifact_file.MODEL, self._key)
            artifact_file.write_artifact(reference, new / REFERENCE_MODEL, self._key)
            files.write_json(new / _EVALUATION, verdict)
            replaced = pathlib.Path(temporary) / _REPLACED
            try:
                if directory.exists():
                    directory.rename(replaced)
                new.rename(directory)
            finally:
                _put_back(replaced, directory)
        files.sync(self._directory)

    def _remove(self, directory: pathlib.Path) -> None:
        """At once, as others see it: whoever reads meanwhile, or comes after a kill, finds all of the version or nothing."""
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=self._directory) as temporary:
            directory.rename(pathlib.Path(temporary) / "old")

    def _clear(self, name: str) -> None:
        """Makes room for a link where a copy of the run, made with links followed, has a directory: a kept version once more, or the only one."""
        copy = self._directory / name
        if copy.is_symlink() or not copy.is_dir():
            return
        try:
            version = artifact_file.read_artifact(copy / artifact_file.MODEL).version
        except (errors.ArtifactError, errors.ConfigError) as error:
            raise errors.StorageError(
                f"{copy} lies where a link has to be, and is no whole policy ({error}); move it away"
            ) from error
        if (self._directory / str(version)).exists():
            self._remove(copy)
        else:
            copy.rename(self._directory / str(version))

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
            return artifact_file.read_json(self._directory / str(version) / _EVALUATION)
        except errors.StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def _remove_old(self) -> None:
        linked = {os.readlink(self._directory / name) for name in _LINKS}
        others = [version for version in self.versions() if str(version) not in linked]
        for version in others[: max(0, len(others) - self._max_to_keep)]:
            self._remove(self._directory / str(version))
        for leftover in self._leftovers():
            shutil.rmtree(leftover)

    def _leftovers(self) -> list[pathlib.Path]:
        """Temporary directories of a process that was killed while it saved, '.<version>.<random>'."""
        return list(self._directory.glob(".*.*"))


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit()  # '²' is a digit too, and no number


def _put_back(replaced: pathlib.Path, directory: pathlib.Path) -> None:
    """Undoes the first half of a replacement whose second half never came."""
    if replaced.is_dir() and not directory.exists():
        replaced.rename(directory)


def load(path: str | os.PathLike[str], version: str = "best", key: bytes | None = None) -> records.PolicyArtifact:
    """The quantized policy that a user means, verified.

    Args:
      path: a .tflite file with its manifest beside it, a directory of one version, or the directory of a run.
      version: which of a run's policies: 'best', 'latest' or a number.
      key: that it must be signed with; None takes any that is whole.

    Raises:
      ConfigError: there is no such policy.
      ArtifactError: it is damaged, or another version, or no float policy, lies in the place of the one that a run kept there.
    """
    return _read(find_model(path, version), key)


def load_pair(path: str | os.PathLike[str], version: str = "best", key: bytes | None = None) -> Pair:
    """The policy that `load` gives and the float one beside it, which a policy of another version is not; arguments and errors as there."""
    model_file = find_model(path, version)
    artifact = _read(model_file, key)
    reference = artifact if artifact.recipe == _REFERENCE_RECIPE else None
    beside = model_file.with_name(REFERENCE_MODEL)
    if beside != model_file and beside.is_file():
        other = _read(beside, key)
        reference = other if other.version == artifact.version else reference
    return Pair(model_file, artifact, reference)


def find_model(path: str | os.PathLike[str], version: str = "best") -> pathlib.Path:
    """The .tflite file that a user means; arguments as of `load`.

    Raises:
      ConfigError: there is none.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise errors.ConfigError(f"there is no '{path}'; give a run directory or a .tflite file")
    if path.is_file():
        return path
    if (path / artifact_file.MODEL).is_file():
        return path / artifact_file.MODEL
    if version not in _LINKS and not _is_version(version):
        raise errors.ConfigError(f"policy version is '{version}', needs 'best', 'latest' or a number")
    policies = path if path.name == POLICIES else path / POLICIES
    model = policies / version / artifact_file.MODEL
    if not model.is_file():
        kept = sorted((entry.name for entry in policies.glob("[!.]*")), key=lambda name: (len(name), name))
        there = f"it has {', '.join(kept)}" if kept else "it has none"
        raise errors.ConfigError(f"{path} has no policy '{version}': {there}; give a run directory or a .tflite file")
    return model


def _read(model_file: pathlib.Path, key: bytes | None) -> records.PolicyArtifact:
    """A policy that is what its place in a run's directory says; elsewhere, and by another name, it may be any."""
    artifact = artifact_file.read_artifact(model_file, key)
    directory = model_file.resolve().parent
    is_kept = directory.parent.name == POLICIES and _is_version(directory.name)
    if not is_kept or model_file.name not in (artifact_file.MODEL, REFERENCE_MODEL):
        return artifact
    if artifact.version != int(directory.name):
        raise errors.ArtifactError(
            f"{model_file} is policy {artifact.version} by its manifest, and lies where policy {directory.name} was kept; was it put there?"
        )
    if model_file.name == REFERENCE_MODEL and artifact.recipe != _REFERENCE_RECIPE:
        raise errors.ArtifactError(
            f"{model_file} is of recipe {artifact.recipe} by its manifest, and lies where the float policy was kept; was it put there?"
        )
    return artifact
