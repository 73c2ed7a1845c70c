"""Places for results are tried before the work, and left as they were."""

import pathlib

import pytest

from tfquarl.core import errors
from tfquarl.core import output_paths


def test_places_that_can_be_written_stay_as_they_were(tmp_path: pathlib.Path):
    (tmp_path / "old.json").write_text("old")
    output_paths.check_file("output", tmp_path / "new.json")
    output_paths.check_file("output", tmp_path / "old.json")
    output_paths.check_directory("plots", tmp_path)
    output_paths.check_directory("plots", tmp_path / "a" / "b")
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "old"


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("{here}", "is a directory; needs the name of a file"),
        ("{here}/no/a.json", "there is no directory .*/no; make it, or give another place"),
        ("{here}/file/a.json", "there is no directory .*/file"),
        ("/proc/a.json", "can't be written: /proc takes no files .*; give another place"),
    ],
    ids=["a directory", "no directory", "below a file", "a place that takes no files"],
)
def test_a_file_that_cannot_be_written_is_told(tmp_path: pathlib.Path, path: str, complaint: str):
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigError, match=f"^--output=.*{complaint}"):
        output_paths.check_file("output", path.format(here=tmp_path))


def test_a_page_is_told_by_its_text(tmp_path: pathlib.Path):
    (tmp_path / "page").mkdir()
    assert output_paths.check_page("output", tmp_path / "page") == tmp_path / "page"
    with pytest.raises(errors.ConfigError, match=r"^--output=.*/no/page: there is no directory"):
        output_paths.check_page("output", tmp_path / "no" / "page")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("{here}/file", "is a file; needs a directory"),
        ("{here}/file/a/b", "can't be made: .*/file is no directory"),
        ("/proc/a/b", "can't be written: /proc takes no files"),
    ],
    ids=["a file", "below a file", "a place that takes no files"],
)
def test_a_directory_that_cannot_be_written_is_told(tmp_path: pathlib.Path, path: str, complaint: str):
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigError, match=f"^--plots=.*{complaint}"):
        output_paths.check_directory("plots", path.format(here=tmp_path))
