"""Tests and programs run on the locked packages."""

from importlib import metadata
import re
import sys

import pytest

from tests.house import source_tree

_LOCKED = re.findall(r"^([\w.-]+)==(\S+)", (source_tree.ROOT / "requirements.txt").read_text(), re.MULTILINE)


def test_python_is_the_one_of_the_lock():
    assert sys.version_info[:2] == (3, 11)


def test_the_matched_set_is_locked():
    assert {"tensorflow", "tf-agents", "dm-reverb", "numpy", "gym"} <= {name for name, _ in _LOCKED}


@pytest.mark.parametrize(("name", "version"), _LOCKED, ids=[name for name, _ in _LOCKED])
def test_installed_as_locked(name: str, version: str):
    assert metadata.version(name) == version
