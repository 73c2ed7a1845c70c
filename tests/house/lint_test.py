"""All Python of the repository is formatted, and ruff finds nothing in it."""

import pathlib
import subprocess
import sys

import pytest

from tests.house import source_tree


def _ruff(directory: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ruff = pathlib.Path(sys.executable).with_name("ruff")
    return subprocess.run(
        [ruff, *arguments, "--no-cache", "."], cwd=directory, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module", name="copy")
def _copy(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return source_tree.copy_to(tmp_path_factory.mktemp("sources"))


@pytest.mark.parametrize(
    "arguments",
    [("check",), ("format", "--check")],
    ids=["ruff check", "ruff format --check"],
)
def test_ruff_finds_nothing(copy: pathlib.Path, arguments: tuple[str, ...]):
    result = _ruff(copy, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("arguments", "source", "complaint"),
    [
        (("check",), "import os\n", "F401"),
        (("check",), "from os import path, sep\nprint(path, sep)\n", "I001"),
        (("format", "--check"), "x = [1,2]\n", "would be reformatted"),
    ],
    ids=["unused import", "two imports in a line", "unformatted"],
)
def test_ruff_finds_a_fault(tmp_path: pathlib.Path, arguments: tuple[str, ...], source: str, complaint: str):
    (tmp_path / "pyproject.toml").write_text((source_tree.ROOT / "pyproject.toml").read_text())
    (tmp_path / "faulty.py").write_text(source)
    result = _ruff(tmp_path, *arguments)
    assert result.returncode == 1
    assert complaint in result.stdout
