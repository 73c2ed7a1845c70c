"""Where a program puts what it makes, looked at before it begins to make it."""

import pathlib

from tfquarl.core import errors


def checked(flag: str, path: str) -> pathlib.Path:
    """`path`, in a directory that is there: a slip of the pen shall not make one, nor lose the work of an hour.

    Args:
      flag: the name of what the user gave, for the message.
      path: of a file, or of several files without what their names end in.

    Raises:
      ConfigError: there is no such directory.
    """
    parent = pathlib.Path(path).absolute().parent
    if not parent.is_dir():
        raise errors.ConfigError(f"{flag}={path}: there is no directory {parent}; make it, or give another path")
    return pathlib.Path(path)
