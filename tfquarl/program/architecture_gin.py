"""A policy's architecture from gin, for weights that come from elsewhere.

PolicyArchitecture.observation_size = 24
PolicyArchitecture.hidden_sizes = (256, 256)
PolicyArchitecture.output_size = 6
PolicyArchitecture.head = 'action'
PolicyArchitecture.action_low = (-1.0, ...)
PolicyArchitecture.action_high = (1.0, ...)
"""

from collections.abc import Sequence
import importlib.util  # noqa: F401 (gin 0.5.0 uses it without importing it)
import os
import tokenize

import gin

from tfquarl.core import errors
from tfquarl.networks import architecture

_make_architecture = gin.external_configurable(architecture.PolicyArchitecture, module="tfquarl")


def load(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> architecture.PolicyArchitecture:
    """Reads files, in order, then bindings; nothing else may be bound in them.

    Raises:
      ConfigError: a missing file, a syntax error, an unknown name, a value that is missing or wrong.
    """
    gin.clear_config()
    for path in gin_files:
        if not os.path.isfile(path):
            raise errors.ConfigError(f"no gin file '{path}'")
    try:
        gin.parse_config_files_and_bindings(list(gin_files), list(gin_bindings), finalize_config=False)
        made = _make_architecture()
    except (ValueError, TypeError, OSError, SyntaxError, tokenize.TokenError) as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise errors.ConfigError(f"PolicyArchitecture: {first}") from error
    if not isinstance(made, architecture.PolicyArchitecture):
        raise errors.ConfigError(f"PolicyArchitecture: bound to {made!r}")
    return made
