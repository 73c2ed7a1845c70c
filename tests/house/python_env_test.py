"""The Python that tests run on is the locked one."""

from importlib import metadata
import pathlib
import sys

import pytest


def test_runs_in_the_locked_environment_outside_every_checkout():
    assert sys.version_info[:2] == (3, 11)
    assert pathlib.Path(sys.prefix).name.startswith("venv-"), sys.prefix


@pytest.mark.parametrize("package", ["tensorflow", "tf-agents", "dm-reverb", "numpy", "gym"])
def test_packages_of_the_matched_set_are_installed(package: str):
    assert metadata.version(package)
