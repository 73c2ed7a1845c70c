"""The flag --key_file of the programs that read kept policies."""

import pathlib

from absl import flags

from tfquarl.publication import signature


def define() -> None:
    """Defines the flag; a tool calls it before the command line is parsed."""
    flags.DEFINE_string(
        "key_file", None, "A file with the key that policies must be signed with; unsigned ones are refused."
    )


def key() -> bytes | None:
    """The key of --key_file; None where it isn't given.

    Raises:
      ConfigError: the file can't be read, or its key is short.
    """
    path = flags.FLAGS.key_file
    return None if path is None else signature.read_key(pathlib.Path(path))
