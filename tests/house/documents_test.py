"""What the documents tell the reader to type exists: targets, flags and gin files; and their links lead somewhere."""

import pathlib
import re

import pytest

from tests.house import documents
from tests.house import source_tree

_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("path", source_tree.markdown_files(), ids=str)
def test_commands_can_be_typed(path: pathlib.Path):
    found = documents.commands(str(path), (source_tree.ROOT / path).read_text())
    assert not [fault for command in found for fault in documents.faults(command)]


# Only documents are among a test's files, so only links to documents can be followed here.
@pytest.mark.parametrize("path", source_tree.markdown_files(), ids=str)
def test_links_to_documents_lead_somewhere(path: pathlib.Path):
    links = _LINK.findall((source_tree.ROOT / path).read_text())
    here = source_tree.ROOT / path.parent
    assert not [link for link in links if link.endswith(".md") and not (here / link).is_file()]


def test_contributing_is_read():
    text = (source_tree.ROOT / "CONTRIBUTING.md").read_text()
    assert ("//...",) in [command.targets for command in documents.commands("CONTRIBUTING.md", text)]


def test_takes_a_command_apart():
    text = "Type\n\n    ./bazelw run //tools:train \\\n      -- --seed=1 'a b'  # a remark\n"
    (found,) = documents.commands("x.md", text)
    assert found == documents.Command("x.md", 3, "run", ("//tools:train",), ("--seed=1", "a b"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`./bazelw run //tools:tarin`", "no target //tools:tarin"),
        ("`./bazelw test //tests/nowhere/...`", "no target //tests/nowhere/..."),
        ("`./bazelw test --test_filter=x`", "without a target"),
        ("`./bazelw test tests`", "is no target"),
        ("`./bazelw run //tools:train -- --gin_fiel=x`", "has no flag --gin_fiel"),
        ("`./bazelw run //tools:train -- --gin_file=configs/gin/no.gin`", "there is no configs/gin/no.gin"),
        ("`./bazelw run //tools:train -- --gin_file=configs/gin/experiments/<name>.gin`", None),
        ("`./bazelw run //tools:train -- --help`", None),
        ("`./bazelw test //...` and `./bazelw test //tests/house:documents_test`", None),
    ],
)
def test_finds(text: str, fault: str | None):
    found = [one for command in documents.commands("x.md", text) for one in documents.faults(command)]
    assert (fault is None and not found) or (len(found) == 1 and str(fault) in found[0]), found
