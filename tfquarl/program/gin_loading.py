"""Gin files and bindings to an `Experiment` or to the architecture of some weights, so that only this package knows gin.

Every mistake ends here, before any process starts, as one `ConfigError` that names the file and the line.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import difflib
import os
import re
import types
import typing
from typing import Any

import gin
from gin import config as gin_config

from tfquarl.core import errors
from tfquarl.networks import architecture
from tfquarl.program import configurables
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import gin_places
from tfquarl.program import study_config

_BY_NAME: dict[str, type] = {cls.__name__: cls for cls in (*configurables.CLASSES, architecture.PolicyArchitecture)}
_CONFIGURABLES = {name: gin.external_configurable(cls, module="tfquarl") for name, cls in _BY_NAME.items()}
_EXAMPLES = {
    "observation_size": "4",
    "hidden_sizes": "(256, 256)",
    "output_size": "2",
    "head": '"q_values"',
}
"""Of what has no default in `PolicyArchitecture`."""

_Parameters = Mapping[tuple[str, str], str]


@dataclasses.dataclass(frozen=True)
class LoadedExperiment:
    """An experiment and the text that it came from.

    Attributes:
      experiment: the value.
      given: files and bindings as they were given, includes not resolved.
      operative: every parameter that was really used, with its value.
      unused: 'file:line: Class.parameter' of each binding that nothing used.
      places: 'file:line' by (class, parameter) of each parameter that is bound.
      study: which runs `//tools:study` makes of it.
    """

    experiment: experiment_lib.Experiment
    given: str
    operative: str
    unused: tuple[str, ...]
    places: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    study: study_config.StudyConfig = dataclasses.field(default_factory=study_config.StudyConfig)

    def place(self, class_name: str, parameter: str) -> str:
        """'file:line: Class.parameter' of what is bound there; without a place where nothing binds it."""
        where = self.places.get((class_name, parameter))
        return f"{where}: {class_name}.{parameter}" if where else f"{class_name}.{parameter}"


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
    given = "".join(f"# {path}\n{_read(path)}\n" for path in gin_files) + "\n".join(gin_bindings)
    found = _parse(gin_files, gin_bindings, configurables.CLASSES, "an experiment")
    experiment, study = (_build(name, found.parameters) for name in ("Experiment", "StudyConfig"))
    operative, unused = gin.operative_config_str(), tuple(_unused(found))
    gin.clear_config()  # which unlocks it: TF-Agents registers its own configurables when it is imported
    return LoadedExperiment(experiment, given, operative, unused, found.parameters, study)


def load_architecture(gin_files: Sequence[str], gin_bindings: Sequence[str] = ()) -> architecture.PolicyArchitecture:
    """Reads gin files, in order, then bindings, and builds the `PolicyArchitecture` that they describe; they may bind nothing else.

    Raises:
      ConfigError: as of `load`, and a value without default that nothing binds.
    """
    found = _parse(gin_files, gin_bindings, (architecture.PolicyArchitecture,), "an architecture")
    for field, example in _EXAMPLES.items():
        name = f"PolicyArchitecture.{field}"
        if ("PolicyArchitecture", field) not in found.parameters:
            raise errors.ConfigError(
                f"{name} is not bound; weights need their architecture: --gin_bindings='{name} = {example}', or --gin_file"
            )
    made = _build("PolicyArchitecture", found.parameters)
    gin.clear_config()
    return made


def _parse(
    gin_files: Sequence[str], gin_bindings: Sequence[str], classes: Collection[type], whole: str
) -> gin_places.Places:
    """Binds what some files and then bindings say of `classes`, which are those of the `whole`; gives where it stands."""
    gin.clear_config()
    gin_config._LOCATION_PREFIXES[:] = search_paths()  # gin can only append; a second load must not see the first's
    gin_config._FILE_READERS[:] = [(open, os.path.isfile)]  # its other one logs an error for each path without the file
    found = gin_places.find(gin_files, gin_bindings, _read)
    found.check_macros()
    for (selector, parameter), place in found.parameters.items():
        name = selector.rpartition("/")[2]
        if name in _BY_NAME and _BY_NAME[name] not in classes:
            raise errors.ConfigError(f"{place}: {selector}.{parameter}: {whole} has no {name}, take the line out")
    with _one_line_errors(found.parameters):
        gin.parse_config_files_and_bindings(list(gin_files), list(gin_bindings), finalize_config=True)
    return found


def _build(class_name: str, places: _Parameters) -> Any:
    """The class with what is bound to it, all of it of the type that it is annotated with."""
    with _one_line_errors(places):
        made = _CONFIGURABLES[class_name]()
    _check_types(made, places)
    return made


@contextlib.contextmanager
def _one_line_errors(places: _Parameters) -> Iterator[None]:
    """Turns what gin and the classes raise into a `ConfigError`."""
    try:
        yield
    except (errors.TfquarlError, ValueError, TypeError, OSError, ImportError) as error:
        raise errors.ConfigError(_one_line(error, places)) from error
    except RecursionError:  # whose traceback of a thousand lines is no help
        raise errors.ConfigError(
            "a binding leads back to its own class, as 'Experiment.scale = @Experiment()' does, or through others; bind another class"
        ) from None


def _read(path: str) -> str:
    for directory in search_paths():
        full = os.path.join(directory, path)
        if os.path.isfile(full):
            try:
                with open(full, encoding="utf-8") as file:
                    return file.read()
            except (OSError, UnicodeDecodeError) as error:
                raise errors.ConfigError(f"gin file '{path}' can't be read: {error}") from error
    looked = ", ".join(dict.fromkeys(search_paths()))
    raise errors.ConfigError(f"no gin file '{path}'; looked in {looked}")


def _one_line(error: Exception, places: _Parameters) -> str:
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
            return f"{where.replace('In ', gin_places.BINDINGS + ':')}: {first.rstrip('.')}{_suggestion(first)}"
        if line.startswith("In call to configurable"):
            class_name = line.split("'")[1]
            return (
                _misfit(class_name, places) or _lack(class_name, first) or _place_of(class_name, first, places) + first
            )
    return first


def _suggestion(message: str) -> str:
    """'; did you mean ...' for gin's messages about unknown names."""
    if match := re.search(r"No configurable matching (?:reference )?'@?([\w.]+)", message):
        known = list(_BY_NAME)
    elif match := re.search(r"'(\w+)' doesn't have a parameter named '(\w+)'", message):
        known = [field.name for field in dataclasses.fields(_BY_NAME[match[1]])] if match[1] in _BY_NAME else []
    else:
        return ""
    closest = difflib.get_close_matches(match[match.lastindex or 1], known, n=1)
    return f"; did you mean '{closest[0]}'?" if closest else ""


def _lack(class_name: str, message: str) -> str | None:
    """The parameters without a value that Python says are missing, as bindings."""
    match = re.search(r"missing \d+ required positional arguments?: (.*)", message)
    names = re.findall(r"'(\w+)'", match[1]) if match else []
    bindings = ", ".join(f"{class_name}.{name}" for name in names)
    return f"nothing binds {bindings}; is an include missing?" if names else None


def _misfit(class_name: str, places: _Parameters) -> str | None:
    """What is wrong with the first binding of `class_name` whose value is of another type than its annotation says."""
    hints = typing.get_type_hints(_BY_NAME[class_name]) if class_name in _BY_NAME else {}
    for (selector, parameter), place in places.items():
        if selector == class_name and parameter in hints:
            value = gin.query_parameter(f"{selector}.{parameter}")
            if not isinstance(value, gin_config.ConfigurableReference) and not _fits(value, hints[parameter]):
                return f"{place}: {class_name}.{parameter}: {_refusal(value, hints[parameter])}"
    return None


def _place_of(class_name: str, message: str, places: _Parameters) -> str:
    """'file:line: Class.parameter: ' for the bound parameter of `class_name` that the message names, else 'Class: '."""
    for (selector, parameter), place in places.items():
        if selector == class_name and re.search(rf"\b{parameter}\b", message):
            return f"{place}: {class_name}.{parameter}: "
    return f"{class_name}: "


def _check_types(value: Any, places: _Parameters) -> None:
    """Checks every field of a tree of dataclasses against its annotation; gin binds anything to anything."""
    hints = typing.get_type_hints(type(value))
    for field in dataclasses.fields(value):
        item, hint = getattr(value, field.name), hints[field.name]
        if not _fits(item, hint):
            where = _place_of(type(value).__name__, field.name, places)
            raise errors.ConfigError(f"{where}{_refusal(item, hint)}")
        if dataclasses.is_dataclass(item):
            _check_types(item, places)


def _refusal(item: Any, hint: Any) -> str:
    needed = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    if isinstance(item, type):
        return f"got the class @{item.__name__}, needs {needed}; did you mean @{item.__name__}()?"
    got = f"@{type(item).__name__}()" if dataclasses.is_dataclass(item) else repr(item)
    return f"got {got}, needs {needed}"


def _fits(item: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(item, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(item, (tuple, list)) and all(_fits(part, arguments[0]) for part in item)
    if origin is Mapping:
        return isinstance(item, Mapping) and all(
            _fits(part, argument) for pair in item.items() for part, argument in zip(pair, arguments)
        )
    if hint is float:
        return isinstance(item, (int, float)) and not isinstance(item, bool)
    if hint is int:
        return isinstance(item, int) and not isinstance(item, bool)
    return item is None if hint is None else isinstance(item, hint) and not isinstance(item, type)


def _unused(found: gin_places.Places) -> Iterator[str]:
    used = {
        (f"{scope}/{name}" if scope else name, parameter)
        for (scope, selector), parameters in gin_config._OPERATIVE_CONFIG.items()
        for name in [selector.rsplit(".", 1)[-1]]
        for parameter in parameters
    }
    for (selector, parameter), place in found.parameters.items():
        if (selector, parameter) not in used:
            yield f"{place}: {selector}.{parameter}"
    for name, place in found.macros.items():
        if name not in found.macro_uses:
            yield f"{place}: {name}"
