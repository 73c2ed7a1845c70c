"""Bazel's visibility draws the arrows of the design: which package may depend on which."""

import pathlib

import pytest

_DIRECTORY = pathlib.Path(__file__).absolute().parent

_FLOOR_0 = {"core"}
_FLOOR_1 = {"environments", "metrics", "networks", "quantization", "replay", "runtime"}
_FLOOR_2 = {"agents", "collector", "converter", "evaluator", "learner", "publication"}
_FLOOR_3 = {"experiments", "export", "program"}
_BELOW_3 = _FLOOR_0 | _FLOOR_1 | _FLOOR_2

_MAY_DEPEND_ON = {
    "core": set(),
    "environments": _FLOOR_0,
    "metrics": _FLOOR_0,
    "networks": _FLOOR_0 | {"quantization"},
    "quantization": _FLOOR_0,
    "replay": _FLOOR_0,
    "runtime": _FLOOR_0 | {"quantization"},
    **dict.fromkeys(_FLOOR_2, _FLOOR_0 | _FLOOR_1),
    "experiments": _BELOW_3 | {"export", "program"},
    "export": _BELOW_3,
    "program": _BELOW_3,
    "testing": _FLOOR_0 | _FLOOR_1,
    "tools": _FLOOR_0 | _FLOOR_3,
}


@pytest.mark.parametrize("package", sorted(_MAY_DEPEND_ON))
def test_bazel_shows_a_package_only_what_it_may_import(package: str):
    # Written by Bazel itself, from the BUILD files: one label //tfquarl/<name>:<name> a line.
    visible = (_DIRECTORY / f"visible_to_{package}.txt").read_text().split()
    assert {label.rpartition(":")[2] for label in visible} - {package} == _MAY_DEPEND_ON[package]
