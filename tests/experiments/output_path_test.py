"""Tests of tfquarl/experiments/output_path.py."""

import pathlib

import pytest

from tfquarl.core import errors
from tfquarl.experiments import output_path


@pytest.mark.parametrize("path", ["page", "there/page.json", "./there/../page"])
def test_a_path_in_a_directory_that_is_there(path: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    assert output_path.checked("--output", path) == pathlib.Path(path)


@pytest.mark.parametrize("path", ["missing/page", "a_file/page"])
def test_a_path_elsewhere(path: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a_file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.ConfigError, match=rf"--plot={path}: there is no directory {tmp_path}/\w+; make it"):
        output_path.checked("--plot", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a_file"]
