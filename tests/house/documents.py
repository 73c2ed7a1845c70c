"""The commands that the documents tell the reader to type, and what is wrong with one."""

import ast
from collections.abc import Iterator
import dataclasses
import pathlib
import re
import shlex

from tests.house import source_tree

_COMMAND = re.compile(r"\./bazelw +((?:run|test|build) +[^`\n]*)")
_DEFINE = re.compile(r"(?:flags|app)\.DEFINE_\w+")
_ABSL_FLAGS = {"flagfile", "help", "helpfull", "helpshort", "logtostderr", "alsologtostderr", "log_dir", "verbosity"}
_PLACEHOLDER = re.compile(r"[<>$*{}]|\.\.\.")


@dataclasses.dataclass(frozen=True)
class Command:
    """One `./bazelw ...` of a document: Bazel's verb, its target patterns, and what comes after `--`."""

    document: str
    line: int
    verb: str
    targets: tuple[str, ...]
    arguments: tuple[str, ...]


def commands(document: str, text: str) -> Iterator[Command]:
    """All `./bazelw run|test|build` commands of a Markdown text; a line that ends in a backslash goes on."""
    joined = re.sub(r"\\\n", "  ", text)  # of the same length, so that places in it are places in the text
    for match in _COMMAND.finditer(joined):
        verb, *words = shlex.split(match[1], comments=True)
        cut = words.index("--") if "--" in words else len(words)
        targets = tuple(word for word in words[:cut] if not word.startswith("-"))
        yield Command(document, text.count("\n", 0, match.start()) + 1, verb, targets, tuple(words[cut + 1 :]))


def faults(command: Command) -> list[str]:
    """What a reader who types the command would run into, each with the document and line."""
    found = [*_target_faults(command)]
    if not found and command.verb == "run":
        found += _argument_faults(command)
    return [f"{command.document}:{command.line}: {fault}" for fault in found]


def _target_faults(command: Command) -> Iterator[str]:
    if not command.targets:
        yield f"bazelw {command.verb} without a target"
    for target in command.targets:
        if not target.startswith("//"):
            yield f"{target!r} is no target"
        elif not _PLACEHOLDER.search(target.removesuffix("...")) and not _exists(target):
            yield f"no target {target}"


def _exists(target: str) -> bool:
    package, _, name = target.removeprefix("//").partition(":")
    if name:
        return (source_tree.ROOT / _source_of(target)).is_file()
    directory = source_tree.ROOT / package.removesuffix("...")
    return package.endswith("...") and (directory == source_tree.ROOT or (directory / "BUILD").is_file())


def _source_of(target: str) -> pathlib.Path:
    package, _, name = target.removeprefix("//").partition(":")
    renamed: dict[str, str] = source_tree.starlark_constants("tools/BUILD")["PROGRAM_OF"]  # type: ignore[assignment]
    files = {program: file for file, program in renamed.items()} if package == "tools" else {}
    return pathlib.Path(package) / files.get(name, f"{name}.py")


def _argument_faults(command: Command) -> Iterator[str]:
    target = command.targets[0]
    known = flags_of(_source_of(target)) | _ABSL_FLAGS
    for argument in command.arguments:
        flag, _, value = argument.partition("=")
        if not flag.startswith("--"):
            continue
        name = flag.removeprefix("--")
        if name not in known and name.removeprefix("no") not in known:
            yield f"{target} has no flag {flag}"
        elif name == "gin_file" and not _PLACEHOLDER.search(value) and not (source_tree.ROOT / value).is_file():
            yield f"there is no {value}"


def flags_of(tool: pathlib.Path) -> set[str]:
    """The absl flags that a program of tools/, or tfquarl/program/ for all of them, defines."""
    shared = source_tree.python_files("tfquarl/program")
    names = set()
    for path in [tool, *shared]:
        for node in ast.walk(ast.parse((source_tree.ROOT / path).read_text())):
            match node:
                case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _DEFINE.match(ast.unparse(func)):
                    names.add(name)
    return names
