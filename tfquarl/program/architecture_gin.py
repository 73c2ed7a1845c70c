"""A policy's architecture from gin, for weights that come from elsewhere.

PolicyArchitecture.observation_size = 24
PolicyArchitecture.hidden_sizes = (256, 256)
PolicyArchitecture.output_size = 6
PolicyArchitecture.head = 'action'
PolicyArchitecture.action_low = (-1.0, ...)
PolicyArchitecture.action_high = (1.0, ...)
"""

from collections.abc import Sequence
import dataclasses
import importlib.util  # noqa: F401 (gin 0.5.0 uses it without importing it)
import pathlib

import gin

from tfquarl.core import errors
from tfquarl.networks import architecture
from tfquarl.program import gin_places

_EXAMPLES = {
    "observation_size": "4",
    "hidden_sizes": "(256, 256)",
    "output_size": "2",
    "head": '"q_values"',
}

_make_architecture = gin.external_configurable(architecture.PolicyArchitecture, module="tfquarl")


def load(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> architecture.PolicyArchitecture:
    """Reads files, in order, then bindings; nothing else may be bound in them.

    Raises:
      ConfigError: a missing file, a syntax error, an import, an unknown name, a value that is missing or wrong.
    """
    gin.clear_config()
    gin_places.find(gin_files, gin_bindings, _read)  # refuses what would run code
    try:
        gin.parse_config_files_and_bindings(list(gin_files), list(gin_bindings), finalize_config=False)
        _check_bindings()
        made = _make_architecture()
    except (ValueError, TypeError, OSError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise errors.ConfigError(f"PolicyArchitecture: {first}") from error
    if not isinstance(made, architecture.PolicyArchitecture):
        raise errors.ConfigError(f"PolicyArchitecture: bound to {made!r}")
    return made


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise errors.ConfigError(f"no gin file '{path}'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"gin file '{path}' can't be read: {error}") from error


def _check_bindings() -> None:
    """Raises `ConfigError` where a value that has no default is not bound, with the binding that it needs."""
    for field in dataclasses.fields(architecture.PolicyArchitecture):
        name = f"PolicyArchitecture.{field.name}"
        if field.default is dataclasses.MISSING and not _is_bound(name):
            raise errors.ConfigError(
                f"{name} is not bound; weights need their architecture: --gin_bindings='{name} = {_EXAMPLES[field.name]}', or --gin_file"
            )


def _is_bound(name: str) -> bool:
    try:
        gin.query_parameter(name)
    except ValueError:
        return False
    return True
