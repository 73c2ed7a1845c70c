"""The rules of the design that can be read off a source file: who imports whom, and what no module may hold.

`faults(path, source)` lists what is wrong with one file. A path is relative to the repository's root and written with
slashes; the floors come from build_defs/floors.bzl, which Bazel's visibility is made from as well.
"""

import ast
from collections.abc import Iterator
import dataclasses
import pathlib
import re
import sys

from tests.house import source_tree

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

STATIONS = {"collector", "converter", "evaluator", "learner", "publication"}
_ALGORITHMS = re.compile(r"d4pg|dqn", re.IGNORECASE)
_EMPTY_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}

# Packages of tfquarl/ that may import a library; every other package may not.
LIBRARY_FENCES = {
    "ai_edge_litert": {"runtime"},
    "gin": {"program"},
    "reverb": {"program", "publication", "replay"},
    "tflite_micro": {"runtime"},
    "tflite_runtime": {"runtime"},
}
NUMPY_ONLY = {"core", "quantization"}
# What a collector process loads, and what it must not.
TENSORFLOW_FREE = {
    "collector",
    "core",
    "environments",
    "evaluator",
    "metrics",
    "publication",
    "quantization",
    "runtime",
}
_TENSORFLOW = {"keras", "tensorflow", "tensorflow_model_optimization", "tensorflow_probability", "tf_agents"}

_FORBIDDEN_CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "print": "log with absl.logging, or write to the stream that the caller gives",
    "time.sleep": "wait for an event with a timeout",
}
_FORBIDDEN_LIBRARIES = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
_FORBIDDEN_ARGUMENTS = {"allow_pickle=True", "safe_mode=False"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Fault:
    """One broken rule, at a line of a file."""

    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


@dataclasses.dataclass(frozen=True)
class _Import:
    """One imported name: `module` is absolute, `name` what is taken from it ('' in `import module`)."""

    module: str
    name: str
    line: int

    @property
    def library(self) -> str:
        return self.module.partition(".")[0]


def floors() -> list[list[str]]:
    """The packages of each floor, from the bottom up, as build_defs/floors.bzl has them."""
    return source_tree.starlark_constants("build_defs/floors.bzl")["FLOORS"]  # type: ignore[return-value]


def may_import() -> dict[str, set[str]]:
    """The packages of tfquarl/ that each of them, and tools/, may import besides itself."""
    tables = source_tree.starlark_constants("build_defs/floors.bzl")
    allowed: dict[str, set[str]] = {"tools": set(tables["TOOLS_MAY_IMPORT"])}  # type: ignore[arg-type]
    below: set[str] = set()
    for number, packages in enumerate(floors()):
        for package in packages:
            allowed[package] = below | set(tables["SIDEWAYS"].get(package, ()))  # type: ignore[attr-defined]
        below = below | set(packages)
        if number == max(tables["TESTING_FLOORS"]):  # type: ignore[call-overload]
            allowed["testing"] = below
    return allowed


def faults(path: str, source: str) -> list[Fault]:
    """All broken rules of one file, in the order of its lines."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [Fault(path, error.lineno or 1, f"does not compile: {error.msg}")]
    found = [*_naming(path), *_imports(path, tree), *_statements(path, tree), *_sizes(path, source, tree)]
    if path.startswith("tfquarl/"):
        found += [*_docstrings(path, tree), *_algorithms(path, source)]
    return sorted(found, key=lambda fault: fault.line)


def _package(path: str) -> str:
    """'learner' for tfquarl/learner/x.py, 'tools' for tools/x.py, '' for tfquarl/__init__.py and all else."""
    parts = pathlib.PurePosixPath(path).parts
    if parts[0] == "tfquarl":
        return parts[1] if len(parts) > 2 else ""
    return "tools" if parts[0] == "tools" else ""


def _naming(path: str) -> Iterator[Fault]:
    for part in pathlib.PurePosixPath(path).with_suffix("").parts:
        if part.removesuffix("_test") in _EMPTY_NAMES:
            yield Fault(path, 1, f"{part!r} is a name that says nothing: name the module after what it holds")


def _imported(path: str, tree: ast.Module) -> Iterator[_Import]:
    here = pathlib.PurePosixPath(path).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (_Import(module, alias.name, node.lineno) for alias in node.names)


def _imports(path: str, tree: ast.Module) -> Iterator[Fault]:
    for item in _imported(path, tree):
        if item.name == "*":
            yield Fault(path, item.line, f"star import of {item.module}")
        if path.startswith(("tfquarl/", "tools/")):
            yield from (Fault(path, item.line, rule) for rule in _import_rules(path, item))
    if path.startswith("tfquarl/") and _package(path) != "runtime":
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node).endswith("lite.Interpreter"):
                yield Fault(path, node.lineno, "only tfquarl/runtime names a TFLite interpreter")


def _import_rules(path: str, item: _Import) -> Iterator[str]:
    if item.library == "tfquarl":
        yield from _arrow_rules(path, item)
    elif item.library in {"tests", "tools"} and path.startswith("tfquarl/"):
        yield f"tfquarl/ imports {item.library}/"
    elif path.startswith("tfquarl/"):
        yield from _library_rules(_package(path), item)


def _arrow_rules(path: str, item: _Import) -> Iterator[str]:
    target = f"{item.module}.{item.name}".strip(".").split(".")
    package, other = _package(path), target[1] if len(target) > 1 else ""
    if not other:
        yield "imports tfquarl as a whole: name the module"
    elif other == "testing" and package != "testing":
        yield "only tests import tfquarl/testing"
    elif other != package and other not in may_import().get(package, set()):
        yield f"{package or path} may not import tfquarl/{other} (build_defs/floors.bzl)"
    elif other == package == "agents" and len(target) > 2:
        mine = pathlib.PurePosixPath(path).parts[2]
        if (
            target[2] != mine
            and not mine.endswith(".py")
            and (source_tree.ROOT / "tfquarl/agents" / target[2]).is_dir()
        ):
            yield f"agent {mine} imports agent {target[2]}: what they share belongs in tfquarl/agents/"


def _library_rules(package: str, item: _Import) -> Iterator[str]:
    names = {item.library} | ({"tensorflow"} if item.library in _TENSORFLOW else set())
    allowed = LIBRARY_FENCES.get(item.library)
    if allowed is not None and package not in allowed:
        yield f"only {', '.join(sorted(allowed))} may import {item.library}"
    if package in NUMPY_ONLY and item.library not in {*sys.stdlib_module_names, "numpy"}:
        yield f"{package} is numpy and the standard library only, not {item.library}"
    if package in TENSORFLOW_FREE and "tensorflow" in names:
        yield f"{package} is loaded by collectors, which do without {item.library}"
    if item.library in _FORBIDDEN_LIBRARIES:
        yield f"{item.library}: values travel as bytes with a digest, never pickled by hand"


def _statements(path: str, tree: ast.Module) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield Fault(path, node.lineno, "bare except")
        elif isinstance(node, ast.Call) and path.startswith("tfquarl/"):
            call = ast.unparse(node.func)
            if call in _FORBIDDEN_CALLS:
                yield Fault(path, node.lineno, f"{call}(): {_FORBIDDEN_CALLS[call]}")
            for argument in node.keywords:
                text = f"{argument.arg}={ast.unparse(argument.value)}"
                if text in _FORBIDDEN_ARGUMENTS:
                    yield Fault(path, node.lineno, f"{text}: what is read could run code")


def _sizes(path: str, source: str, tree: ast.Module) -> Iterator[Fault]:
    lines = len(source.splitlines())
    if lines > MAX_MODULE_LINES and not path.startswith("tests/"):
        yield Fault(path, lines, f"{lines} lines: a module has at most {MAX_MODULE_LINES}")
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield Fault(path, node.lineno, f"{node.name} has {length} lines: at most {MAX_FUNCTION_LINES}")


def _docstrings(path: str, node: ast.Module | ast.ClassDef) -> Iterator[Fault]:
    """The module, class or function without a docstring; what is private or inside a function needs none."""
    if isinstance(node, ast.Module) and not ast.get_docstring(node):
        yield Fault(path, 1, "the module has no docstring")
    for child in node.body:
        if not isinstance(child, ast.ClassDef | _Function) or child.name.startswith("_") or _is_repeated(child):
            continue
        if not ast.get_docstring(child):
            yield Fault(path, child.lineno, f"{child.name} has no docstring")
        if isinstance(child, ast.ClassDef):
            yield from _docstrings(path, child)


def _is_repeated(node: ast.ClassDef | _Function) -> bool:
    """A property's setter or a typing overload: its docstring stands at the definition it belongs to."""
    return any(ast.unparse(d).endswith((".setter", ".deleter", "overload")) for d in node.decorator_list)


def _algorithms(path: str, source: str) -> Iterator[Fault]:
    if _package(path) not in STATIONS:
        return
    for number, line in enumerate(source.splitlines(), start=1):
        for word in _ALGORITHMS.findall(line):
            yield Fault(path, number, f"a station knows no algorithm: {word}")
