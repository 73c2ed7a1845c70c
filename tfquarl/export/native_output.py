"""Keeps what native libraries write to stderr away from the user, who would take it for errors."""

from collections.abc import Iterator
import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def captured() -> Iterator[list[str]]:
    """Captures what is written to file descriptor 2 in the block; its lines are in the list after the block's end.

    Of the whole process: nothing else may want to say something meanwhile.
    """
    lines: list[str] = []
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()
