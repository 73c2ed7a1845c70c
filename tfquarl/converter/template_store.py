"""Compiled templates kept between runs, so that only the first run of an architecture waits for TFLiteConverter.

A template depends on architecture, recipe, TensorFlow, the processor's instructions and this project's converter alone, never on weights:
all of these are in its key.
"""

import hashlib
from importlib import metadata
import json
import os
import pathlib
import platform

from absl import logging

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.networks import architecture as architecture_lib
from tfquarl.quantization import recipe as recipe_lib

_DIGEST_BYTES = hashlib.sha256().digest_size
# What decides a file's bytes: the way to TFLiteConverter, the editing of what it gives, and the packages that do both.
_SOURCES = ("converter", "networks", "quantization", "runtime")
_PACKAGES = ("tensorflow", "ai-edge-litert", "flatbuffers", "numpy")
_MAX_BYTES = 256 << 20


def default_store() -> "TemplateStore | None":
    """The user's own: '$XDG_CACHE_HOME/tfquarl/templates', by default under '~/.cache'; None where he has no home."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return TemplateStore(pathlib.Path(cache) / "tfquarl" / "templates")


class TemplateStore:
    """Files of one directory, each named by the key of its template and led by a digest of both.

    What can't be read or written is no error: the template is compiled anew.
    """

    def __init__(self, directory: pathlib.Path, max_bytes: int = _MAX_BYTES) -> None:
        """Stores the arguments.

        Args:
          directory: made when the first template is kept, for its owner alone.
          max_bytes: of all templates; those that were kept longest ago go first.
        """
        self._directory, self._max_bytes = directory, max_bytes

    @property
    def directory(self) -> pathlib.Path:
        """Where the files are."""
        return self._directory

    def find(
        self, architecture: architecture_lib.PolicyArchitecture, recipe: recipe_lib.Recipe, scale_observations: bool
    ) -> bytes | None:
        """The template's flatbuffer; None where there is none, or not as it was written."""
        path = self._path(architecture, recipe, scale_observations)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest, model = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != _digest(path.stem, model):
            logging.warning("%s was altered or cut off; the template is compiled anew", path)
            return None
        return model

    def keep(
        self,
        architecture: architecture_lib.PolicyArchitecture,
        recipe: recipe_lib.Recipe,
        scale_observations: bool,
        model: bytes,
    ) -> None:
        """Keeps a template's flatbuffer for later runs."""
        path = self._path(architecture, recipe, scale_observations)
        try:
            with files.storage_errors(f"making {self._directory}"):
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write_atomically(path, _digest(path.stem, model) + model, mode=0o600)
            with files.storage_errors(f"clearing {self._directory}"):
                self._clear()
        except errors.StorageError as error:
            logging.warning("The next run will compile this template again: %s", error)

    def _clear(self) -> None:
        num_bytes = 0
        for path in sorted(self._directory.glob("*.template"), key=lambda path: path.stat().st_mtime, reverse=True):
            num_bytes += path.stat().st_size
            if num_bytes > self._max_bytes:
                path.unlink(missing_ok=True)

    def _path(
        self, architecture: architecture_lib.PolicyArchitecture, recipe: recipe_lib.Recipe, scale_observations: bool
    ) -> pathlib.Path:
        parts = [architecture.to_json(), recipe.name, recipe.io, scale_observations, _environment()]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return self._directory / f"{key}.template"


def _digest(key: str, model: bytes) -> bytes:
    return hashlib.sha256(key.encode() + model).digest()


def _environment() -> list[str]:
    """Versions of the packages, the processor and what it can do, and a digest of the sources that make templates."""
    package = pathlib.Path(__file__).parent.parent
    sources = hashlib.sha256()
    for name in _SOURCES:
        for path in sorted((package / name).glob("*.py")):
            sources.update(path.read_bytes())
    return [*map(metadata.version, _PACKAGES), platform.machine(), _processor(), sources.hexdigest()]


def _processor() -> str:
    """The instructions that kernels choose by: another processor, with which a home may be shared, may round in another way."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
