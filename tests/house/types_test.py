"""The annotations of tfquarl/ and tools/ hold: basedpyright finds no error."""

import pathlib
import subprocess
import sys

from tests.house import source_tree


def _basedpyright(directory: pathlib.Path, *paths: str) -> subprocess.CompletedProcess[str]:
    command = [pathlib.Path(sys.executable).with_name("basedpyright"), "--pythonpath", sys.executable, *paths]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=280)


def test_no_type_error(tmp_path: pathlib.Path):
    result = _basedpyright(source_tree.copy_to(tmp_path))
    assert result.returncode == 0, (result.stdout + result.stderr).replace(f"{tmp_path}/", "")


def test_finds_a_type_error(tmp_path: pathlib.Path):
    (tmp_path / "faulty.py").write_text('count: int = "three"\n')
    result = _basedpyright(tmp_path, "faulty.py")
    assert result.returncode == 1
    assert "reportAssignmentType" in result.stdout
