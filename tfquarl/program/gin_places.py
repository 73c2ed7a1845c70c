"""Where everything in some gin files stands, includes followed: read without evaluating anything, for messages with file and line.

A statement that would run code, an import, ends here, before gin sees it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import tokenize
from typing import Any

from gin import config_parser

from tfquarl.core import errors

BINDINGS = "--gin_bindings"
"""What stands for a file's name where a binding was given on the command line."""


@dataclasses.dataclass
class Places:
    """'file:line' of what gin files say.

    Attributes:
      parameters: of the last binding of each (class, parameter); a class with a scope in front, 'a/Experiment', is another one.
      macros: of the last definition of each macro.
      macro_uses: of the last use of each macro.
    """

    parameters: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    macros: dict[str, str] = dataclasses.field(default_factory=dict)
    macro_uses: dict[str, str] = dataclasses.field(default_factory=dict)

    def check_macros(self) -> None:
        """Raises ConfigError where a macro is used and never defined."""
        for name, place in self.macro_uses.items():
            if name not in self.macros:
                raise errors.ConfigError(f"{place}: macro %{name} is used, and nothing defines it")


def find(gin_files: Sequence[str], gin_bindings: Sequence[str], read: Callable[[str], str]) -> Places:
    """The places of everything in some files and then in bindings, each of which is a line.

    Args:
      gin_files: names.
      gin_bindings: as given on the command line.
      read: gives the text of a file by its name.

    Raises:
      ConfigError: a syntax error, an import, or an included file that is missing or includes itself; with file and line.
    """
    reader = _Reader(read)
    for path in gin_files:
        reader.add(path, read(path), ())
    reader.add(BINDINGS, "\n".join(gin_bindings), ())
    return reader.places


class _Names(config_parser.ParserDelegate):
    """Reads values as text and remembers which macros they name."""

    def __init__(self) -> None:
        self.macros: list[str] = []

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Any:
        return "@" + scoped_configurable_name

    def macro(self, macro_name: str) -> Any:
        self.macros.append(macro_name)
        return "%" + macro_name


class _Reader:
    def __init__(self, read: Callable[[str], str]) -> None:
        self.places = Places()
        self._read = read

    def add(self, name: str, text: str, including: tuple[str, ...]) -> None:
        """Adds the file `name`, which is included by the last of `including`, which ..."""
        names = _Names()
        for statement in _statements(name, text, names):
            place = f"{name}:{statement.location.line_num}"
            if isinstance(statement, config_parser.IncludeStatement):
                self._include(statement.filename, place, (*including, name))
            elif isinstance(statement, config_parser.BindingStatement):
                self._bind(statement, place)
            elif isinstance(statement, config_parser.ImportStatement):
                raise errors.ConfigError(
                    f"{place}: imports '{statement.module}', which would run it; gin files bind values only, take the line out"
                )
            self.places.macro_uses |= dict.fromkeys(names.macros, place)
            names.macros.clear()

    def _include(self, path: str, place: str, including: tuple[str, ...]) -> None:
        if path in including:
            raise errors.ConfigError(f"{place}: '{path}' includes itself")
        try:
            text = self._read(path)
        except errors.ConfigError as error:
            raise errors.ConfigError(f"{place}: {error}") from error
        self.add(path, text, including)

    def _bind(self, statement: config_parser.BindingStatement, place: str) -> None:
        scope = f"{statement.scope}/" if statement.scope else ""
        if statement.arg_name:
            selector = statement.selector.rsplit(".", 1)[-1]
            self.places.parameters[scope + selector, statement.arg_name] = place
        else:
            self.places.macros[scope + statement.selector] = place


def _statements(name: str, text: str, names: _Names) -> Iterator[Any]:
    try:
        yield from config_parser.ConfigParser(text, names)
    except SyntaxError as error:
        # The last line of gin's message says what is wrong, those before it show Python's own objects.
        reason = (error.msg or "").splitlines()[-1].strip().rstrip(".")
        line = (error.text or _line(text, error.lineno)).strip()
        raise errors.ConfigError(f"{name}:{error.lineno}: {reason}: {line}") from error
    except tokenize.TokenError as error:
        line_number = min(error.args[1][0], max(1, len(text.splitlines())))
        raise errors.ConfigError(
            f"{name}:{line_number}: a bracket or a quote is not closed: {_line(text, line_number)}"
        ) from error


def _line(text: str, number: int | None) -> str:
    lines = text.splitlines()
    return lines[number - 1].strip() if number is not None and 0 < number <= len(lines) else ""
