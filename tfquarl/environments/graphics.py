"""Chooses how suites draw, before they are imported: they look at their environment variables only once."""

import ctypes.util
import os
import sys

REMEDY = "start the program with MUJOCO_GL=egl, or osmesa, and the library of that name installed"
"""What gives MuJoCo the means to draw."""

_MUJOCO_BACKEND = "MUJOCO_GL"
_OFF = "disable"
_LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}  # those that draw without a screen


def prepare(can_render: bool) -> None:
    """Sets what MuJoCo and pygame look at when they are imported, where the user has not.

    Args:
      can_render: whether this process will draw. Without it MuJoCo loads no graphics library, which saves a collector time and
        memory.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    if not can_render:
        os.environ.setdefault(_MUJOCO_BACKEND, _OFF)
        return
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    # 'disable' may be what a parent process set above; here pictures are asked for.
    if os.environ.get(_MUJOCO_BACKEND, _OFF) == _OFF and "dm_control" not in sys.modules:
        found = (backend for backend, library in _LIBRARIES.items() if ctypes.util.find_library(library))
        os.environ[_MUJOCO_BACKEND] = next(found, _OFF)
