"""The repository's own sources, as the checks of the house read them."""

import ast
import pathlib
import shutil

ROOT = pathlib.Path(__file__).absolute().parents[2]
PYTHON_TREES = ("build_defs", "tests", "tfquarl", "tools")


def python_files(*trees: str) -> list[pathlib.Path]:
    """All Python files of these trees of the repository, relative to its root, sorted."""
    return sorted(path.relative_to(ROOT) for tree in trees for path in (ROOT / tree).rglob("*.py"))


def markdown_files() -> list[pathlib.Path]:
    """README.md, the other documents at the root and all of docs/, relative to the root."""
    return sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def copy_to(directory: pathlib.Path) -> pathlib.Path:
    """Copies the Python sources and their settings: under Bazel they are links, which linters do not follow."""
    for path in [*python_files(*PYTHON_TREES), pathlib.Path("pyproject.toml")]:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, directory / path)
    return directory


def starlark_constants(path: str) -> dict[str, object]:
    """The literal constants of a .bzl file (whose syntax is Python's), by name."""
    tree = ast.parse((ROOT / path).read_text())
    constants: dict[str, object] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                try:
                    constants[name] = ast.literal_eval(value)
                except ValueError:
                    continue  # computed: not a literal
    return constants
