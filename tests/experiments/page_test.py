"""Tests of tfquarl/experiments/page.py."""

import json
import pathlib

import pytest

from tfquarl.experiments import page


@pytest.mark.parametrize(
    ("file", "link"),
    [
        ("page_bits.png", "page_bits.png"),
        ("sw page_bits.png", "sw%20page_bits.png"),
        ("a (1)_bits.png", "a%20%281%29_bits.png"),
        ("50%_bits.png", "50%25_bits.png"),
    ],
    ids=["plain", "space", "brackets", "percent"],
)
def test_a_picture_is_linked_whatever_its_name(file: str, link: str):
    assert page.picture("Return against bits", file) == f"![Return against bits]({link})"


@pytest.mark.parametrize(
    ("data", "names"), [({"a": 1}, ["a page.json", "a page.md"]), (None, ["a page.md"])], ids=["data", "text alone"]
)
def test_a_page_and_its_data_lie_beside_one_another(
    data: dict[str, int] | None, names: list[str], tmp_path: pathlib.Path
):
    page.write(tmp_path / "a page", "# Text\n", data)
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    assert (tmp_path / "a page.md").read_text() == "# Text\n"
    assert data is None or json.loads((tmp_path / "a page.json").read_text()) == data
