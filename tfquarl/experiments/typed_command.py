"""A tool's command as a page shows it: one that can be typed elsewhere, in which this machine's directories are nobody's concern."""

from collections.abc import Iterator
from collections.abc import Sequence
import pathlib
import shlex

_PATHS = ("--sweep_file", "--gin_file", "--root_dir", "--output")
# What a shell reads between double quotes.
_READ_BY_SHELLS = frozenset('"$`\\!')


def line(tool: str, arguments: Sequence[str]) -> str:
    """The command of tools/<tool>.py with these arguments, quoted where a shell needs it."""
    return " ".join([f"./bazelw run //tools:{tool} --", *map(_quoted, arguments)])


def without(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """The arguments without the flags of these names, whether typed '--name=value' or '--name value'."""
    return list(_others(iter(arguments), names))


def without_machine(arguments: Sequence[str], here: pathlib.Path) -> list[str]:
    """The arguments, like '--name=value', where of absolute paths is left what lies below `here`, or else the name alone.

    Args:
      arguments: with their values.
      here: the user's directory.
    """
    return [_relative(argument, here) for argument in arguments]


def _others(arguments: Iterator[str], names: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        name, has_value, _ = argument.partition("=")
        if not name.startswith("-") or name.lstrip("-") not in names:
            yield argument
        elif not has_value:
            next(arguments, None)


def _relative(argument: str, here: pathlib.Path) -> str:
    name, _, value = argument.partition("=")
    path = pathlib.Path(value)
    if name not in _PATHS or not path.is_absolute():
        return argument
    return f"{name}={path.relative_to(here) if path.is_relative_to(here) else path.name}"


def _quoted(argument: str) -> str:
    plain = shlex.quote(argument)
    return plain if plain == argument or _READ_BY_SHELLS & set(argument) else f'"{argument}"'
