"""What every tool's command line shares: the user's directory, and one line for the user's mistakes."""

from collections.abc import Callable
import errno
import os
import sys
from typing import Any

from absl import app
from absl import flags
from absl import logging

from tfquarl.core import errors

INTERRUPTED = 130
"""Exit code of a program that the user has ended, as shells have it."""


def run(main: Callable[[], int | None]) -> None:
    """Parses the flags and runs `main` in the directory where the command was typed; exits with its code.

    A `TfquarlError` is printed as one line and gives exit code 1. So do an unknown flag and a flag with nothing behind it. Ctrl-C gives
    `INTERRUPTED`, --help 0. What can't be written to stdout (a full disk, a pipe whose reader has gone) is an error too.
    """

    def checked(arguments: list[str]) -> int:
        if len(arguments) > 1:
            return fail(f"unexpected argument '{arguments[1]}'; flags start with --, and --help lists them")
        logging.set_verbosity(logging.WARNING)
        try:
            code = main() or 0
        except errors.TfquarlError as error:
            code = fail(str(error))
        except KeyboardInterrupt:
            fail("interrupted")
            code = INTERRUPTED
        except OSError as error:
            # Of what is printed at once, as PYTHONUNBUFFERED has it; errors of files are told as such.
            if error.errno not in (errno.ENOSPC, errno.EPIPE):
                raise
            code = fail(_lost(error))
        try:
            sys.stdout.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python shall not meet it at its end
            code = code or fail(_lost(error))
        return code

    _open_closed_streams()
    directory = os.environ.get("BUILD_WORKING_DIRECTORY")  # `bazel run` starts programs elsewhere
    if directory:
        os.chdir(directory)
    app.run(checked, flags_parser=_parse_flags)


def fail(message: str) -> int:
    """Prints the error line of a tool and gives its exit code."""
    one_line = " ".join(message.split())
    sys.stderr.write(f"error: {one_line}\n")
    return 1


def _open_closed_streams() -> None:
    """Lets streams that the shell has closed (`>&-`) lead nowhere: no file of ours may get their numbers, to which C++ writes."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is the stream's
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode))


def _lost(error: OSError) -> str:
    return f"writing to stdout failed: {error.strerror}; is there space, and does its reader live?"


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        others = flags.FLAGS(arguments)
        for name in flags.FLAGS:
            if flags.FLAGS[name].present and _is_empty(flags.FLAGS[name].value):
                raise flags.IllegalFlagValueError(
                    f"flag --{name} is empty; give a value, or leave it out for its default (was a shell variable unset?)"
                )
        return others
    except flags.Error as error:
        sys.exit(fail(f"{error}; --help lists the flags"))
    except SystemExit:  # absl's --help flags end by 1, as if the user had made a mistake
        sys.exit(0)


def _is_empty(value: Any) -> bool:
    """Whether it is text, or a list of texts, in which something is missing."""
    if isinstance(value, list):
        return not value or any(map(_is_empty, value))
    return isinstance(value, str) and not value.strip()
