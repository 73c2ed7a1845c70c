"""A sweep's command as its page shows it: one that can be typed elsewhere, in which this machine's directories are nobody's concern."""

from collections.abc import Sequence
import pathlib
import shlex

_PATHS = ("--sweep_file", "--gin_file", "--root_dir", "--output")
# What a shell reads between double quotes.
_READ_BY_SHELLS = frozenset('"$`\\!')


def line(arguments: Sequence[str], here: pathlib.Path) -> str:
    """The command with these flags, quoted where a shell needs it.

    Args:
      arguments: like '--name=value'; of absolute paths is shown what lies below `here`, or else the name alone.
      here: the user's directory.
    """
    return " ".join(["./bazelw run //tools:sweep --", *(_quoted(_without_machine(part, here)) for part in arguments)])


def _without_machine(argument: str, here: pathlib.Path) -> str:
    name, _, value = argument.partition("=")
    path = pathlib.Path(value)
    if name not in _PATHS or not path.is_absolute():
        return argument
    return f"{name}={path.relative_to(here) if path.is_relative_to(here) else path.name}"


def _quoted(argument: str) -> str:
    plain = shlex.quote(argument)
    return plain if plain == argument or _READ_BY_SHELLS & set(argument) else f'"{argument}"'
