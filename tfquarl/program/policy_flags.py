"""The flags --policy and --version of the programs that read one kept policy."""

import pathlib

from absl import flags

from tfquarl.core import errors
from tfquarl.program import archive


def define() -> None:
    """Defines the flags; a tool calls it before the command line is parsed."""
    flags.DEFINE_string(
        "policy",
        None,
        "A run's directory, one of its policies/<version>, or a .tflite file with its manifest beside it.",
    )
    flags.DEFINE_string("version", "best", "Which policy of a run: 'best', 'latest' or a number.")


def model_file() -> pathlib.Path:
    """The .tflite file of the policy that the flags choose.

    Raises:
      ConfigError: there is none, or --version is given for what is one policy.
    """
    given, version = flags.FLAGS.policy, flags.FLAGS.version
    if not given:
        raise errors.ConfigError("--policy is needed: a run's directory or a .tflite file")
    path = pathlib.Path(given)
    found = archive.find_model(path, version)
    if flags.FLAGS["version"].present and found.parent in (path, path.parent):
        raise errors.ConfigError(
            f"--version chooses among a run's policies; --policy={given} is one policy, so leave it out"
        )
    return found
