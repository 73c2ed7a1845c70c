"""Tests of environments/graphics.py."""

import sys

import pytest

from tfquarl.environments import graphics


@pytest.mark.parametrize(
    "given, can_render, is_imported, expected",
    [
        pytest.param(None, False, False, "disable", id="a collector draws nothing"),
        pytest.param("glfw", False, False, "glfw", id="the user's choice stays"),
        pytest.param("disable", True, False, "egl", id="a parent's choice gives way to pictures"),
        pytest.param(None, True, False, "egl", id="pictures without a screen"),
        pytest.param("osmesa", True, False, "osmesa", id="the user's choice for pictures stays"),
        pytest.param("disable", True, True, "disable", id="too late"),
    ],
)
def test_backend_of_mujoco(
    monkeypatch: pytest.MonkeyPatch, given: str | None, can_render: bool, is_imported: bool, expected: str
) -> None:
    monkeypatch.setattr(graphics.os, "environ", {} if given is None else {"MUJOCO_GL": given})
    monkeypatch.setattr(graphics.ctypes.util, "find_library", lambda name: f"lib{name}.so")
    if is_imported:
        monkeypatch.setitem(sys.modules, "dm_control", graphics)
    else:
        monkeypatch.delitem(sys.modules, "dm_control", raising=False)
    graphics.prepare(can_render)
    assert graphics.os.environ["MUJOCO_GL"] == expected


@pytest.mark.parametrize(
    "library, expected",
    [pytest.param("OSMesa", "osmesa", id="osmesa"), pytest.param(None, "disable", id="none, which drawing tells of")],
)
def test_where_egl_is_missing(monkeypatch: pytest.MonkeyPatch, library: str | None, expected: str) -> None:
    monkeypatch.setattr(graphics.os, "environ", {})
    monkeypatch.setattr(graphics.ctypes.util, "find_library", lambda name: "lib.so" if name == library else None)
    monkeypatch.delitem(sys.modules, "dm_control", raising=False)
    graphics.prepare(can_render=True)
    assert graphics.os.environ["MUJOCO_GL"] == expected
