"""Gin files and bindings to an `Experiment`: the one place that knows gin.

Every mistake ends here, before any process starts, as one `ConfigError` that names the file and the line.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import re
import tokenize
import types
import typing
from typing import Any

import gin
from gin import config as gin_config
from gin import config_parser

from tfquarl.core import errors
from tfquarl.program import configurables
from tfquarl.program import experiment as experiment_lib

_BY_NAME = {cls.__name__: cls for cls in configurables.CLASSES}
_CONFIGURABLES = {cls.__name__: gin.external_configurable(cls, module="tfquarl") for cls in configurables.CLASSES}
_BINDINGS = "--gin_bindings"


@dataclasses.dataclass(frozen=True)
class LoadedExperiment:
    """An experiment and the text that it came from.

    Attributes:
      experiment: the value.
      given: files and bindings as they were given, includes not resolved.
      operative: every parameter that was really used, with its value.
      unused: 'file:line: Class.parameter' of each binding that nothing used.
    """

    experiment: experiment_lib.Experiment
    given: str
    operative: str
    unused: tuple[str, ...]


def search_paths() -> list[str]:
    """Where gin files are looked for: the user's directory, the source tree, and the files that Bazel laid beside us."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [os.getcwd(), os.environ.get("BUILD_WORKSPACE_DIRECTORY", here), here]


def load(gin_files: Sequence[str], gin_bindings: Sequence[str] = ()) -> LoadedExperiment:
    """Reads gin files, in order, then bindings, and builds the `Experiment` that they describe.

    Raises:
      ConfigError: a missing file, a syntax error, an unknown name, a value of the wrong type or out of its range; with file
        and line.
    """
    gin.clear_config()
    gin_config._LOCATION_PREFIXES[:] = search_paths()  # gin can only append; a second load must not see the first's
    given = "".join(f"# {path}\n{_read(path)}\n" for path in gin_files) + "\n".join(gin_bindings)
    places = _binding_places(gin_files, gin_bindings)
    try:
        gin.parse_config_files_and_bindings(list(gin_files), list(gin_bindings), finalize_config=True)
        experiment: Any = _CONFIGURABLES["Experiment"]()
    except (
        errors.TfquarlError,
        ValueError,
        TypeError,
        OSError,
        SyntaxError,
        ImportError,
        tokenize.TokenError,
    ) as error:
        raise errors.ConfigError(_one_line(error, places)) from error
    _check_types(experiment, places)
    operative = gin.operative_config_str()
    return LoadedExperiment(experiment, given, operative, tuple(_unused(places)))


def _read(path: str) -> str:
    for directory in search_paths():
        full = os.path.join(directory, path)
        if os.path.isfile(full):
            with open(full, encoding="utf-8") as file:
                return file.read()
    looked = ", ".join(dict.fromkeys(search_paths()))
    raise errors.ConfigError(f"no gin file '{path}'; looked in {looked}")


class _Names(config_parser.ParserDelegate):
    """Reads values as text: only the places of bindings are wanted."""

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Any:
        return "@" + scoped_configurable_name

    def macro(self, macro_name: str) -> Any:
        return "%" + macro_name


def _binding_places(gin_files: Sequence[str], gin_bindings: Sequence[str]) -> dict[tuple[str, str], str]:
    """'file:line' of the last binding of each (class, parameter), includes followed."""
    places: dict[tuple[str, str], str] = {}
    for path in gin_files:
        places.update(_places_in(path, _read(path)))
    places.update(_places_in(_BINDINGS, "\n".join(gin_bindings)))
    return places


def _places_in(name: str, text: str) -> Iterator[tuple[tuple[str, str], str]]:
    try:
        for statement in config_parser.ConfigParser(text, _Names()):
            if isinstance(statement, config_parser.IncludeStatement):
                yield from _places_in(statement.filename, _read_include(name, statement))
            elif isinstance(statement, config_parser.BindingStatement):
                selector = statement.selector.rsplit(".", 1)[-1]
                yield (selector, statement.arg_name), f"{name}:{statement.location.line_num}"
    except SyntaxError as error:
        raise errors.ConfigError(f"{name}:{error.lineno}: {error.msg}: {(error.text or '').strip()}") from error
    except tokenize.TokenError as error:
        raise errors.ConfigError(f"{name}: a bracket or a quote is not closed: {error.args[0]}") from error


def _read_include(name: str, statement: config_parser.IncludeStatement) -> str:
    try:
        return _read(statement.filename)
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{name}:{statement.location.line_num}: {error}") from error


def _one_line(error: Exception, places: Mapping[tuple[str, str], str]) -> str:
    """Gin's message of several lines as one, led by the place that it names or that binds the parameter it is about."""
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in rest:
        if line.startswith(("In file", "In bindings")):
            where = (
                line.removeprefix("In file ")
                .replace('"', "")
                .replace(", line ", ":")
                .replace("bindings string line ", "")
            )
            return f"{where.replace('In ', _BINDINGS + ':')}: {first}"
        if line.startswith("In call to configurable"):
            return _misfit(line.split("'")[1], places) or _place_of(line.split("'")[1], first, places) + first
    return first


def _misfit(class_name: str, places: Mapping[tuple[str, str], str]) -> str | None:
    """What is wrong with the first binding of `class_name` whose value is of another type than its annotation says."""
    hints = typing.get_type_hints(_BY_NAME[class_name]) if class_name in _BY_NAME else {}
    for (selector, parameter), place in places.items():
        if selector == class_name and parameter in hints:
            value = gin.query_parameter(f"{selector}.{parameter}")
            if not isinstance(value, gin_config.ConfigurableReference) and not _fits(value, hints[parameter]):
                return f"{place}: {class_name}.{parameter}: got {value!r}, needs {_describe(hints[parameter])}"
    return None


def _place_of(class_name: str, message: str, places: Mapping[tuple[str, str], str]) -> str:
    """'file:line: Class.parameter: ' for the bound parameter of `class_name` that the message names, else 'Class: '."""
    for (selector, parameter), place in places.items():
        if selector == class_name and re.search(rf"\b{parameter}\b", message):
            return f"{place}: {class_name}.{parameter}: "
    return f"{class_name}: "


def _check_types(value: Any, places: Mapping[tuple[str, str], str]) -> None:
    """Checks every field of a tree of dataclasses against its annotation; gin binds anything to anything."""
    hints = typing.get_type_hints(type(value))
    for field in dataclasses.fields(value):
        item, hint = getattr(value, field.name), hints[field.name]
        if not _fits(item, hint):
            where = _place_of(type(value).__name__, field.name, places)
            raise errors.ConfigError(f"{where}got {item!r}, needs {_describe(hint)}")
        if dataclasses.is_dataclass(item):
            _check_types(item, places)


def _describe(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _fits(item: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(item, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(item, (tuple, list)) and all(_fits(part, arguments[0]) for part in item)
    if hint is float:
        return isinstance(item, (int, float)) and not isinstance(item, bool)
    if hint is int:
        return isinstance(item, int) and not isinstance(item, bool)
    return item is None if hint is None else isinstance(item, hint)


def _unused(places: Mapping[tuple[str, str], str]) -> Iterator[str]:
    used = {
        (selector.rsplit(".", 1)[-1], parameter)
        for (_, selector), parameters in gin_config._OPERATIVE_CONFIG.items()
        for parameter in parameters
    }
    for (selector, parameter), place in places.items():
        if parameter and (selector, parameter) not in used:
            yield f"{place}: {selector}.{parameter}"
