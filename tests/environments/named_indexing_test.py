"""Tests of environments/named_indexing.py, beside dm_control's own indexers. That each task steps as before is in dm_control_suite_test.py."""

from tfquarl.environments import graphics

graphics.prepare(can_render=False)

# ruff: noqa: E402
from dm_control import suite
from dm_control.mujoco import engine
import numpy as np
import pytest

from tfquarl.environments import named_indexing

_KEYS = {
    "name": ("xpos", "torso"),
    "name and column": ("xpos", ("torso", "z")),
    "name and columns": ("xmat", ("torso", ["zz", "xz"])),
    "names": ("xpos", ["torso", "right_foot"]),
    "names and column": ("xpos", (["torso", "right_foot"], "z")),
    "names, other order": ("xpos", ["right_foot", "torso"]),
    "names of a ragged field": ("qpos", ["right_hip", "left_hip"]),
    "name of a ragged field": ("qpos", "right_hip"),
    "slice and columns": ("xmat", (slice(1, None), ["xx", "xz"])),
    "slice": ("qpos", slice(1, 4)),
    "other slice": ("qpos", slice(1, 5)),
    "number": ("qpos", 1),
    "truth, which equals the number": ("qpos", True),
    "number and column": ("xpos", (1, "z")),
    "array of numbers": ("qpos", np.array([0, 2])),
    "numbers": ("qpos", [0, 1, 0, 0, 0, 0, 0, 0, 0]),
    "truths, which equal the numbers": ("qpos", [False, True, *[False] * 7]),
    "numbers in a tuple": ("xpos", ([1, 0, 0, 0, 0, 0, 0, 1], 0)),
    "truths in a tuple": ("xpos", ([True, *[False] * 6, True], 0)),
    "lists in lists": ("qpos", [[0, 1], [2, 3]]),
}


@pytest.fixture(name="physics", scope="module")
def _physics() -> engine.Physics:
    """All cases share it, so that one key's positions would be found in another key's place."""
    return _walker(True)


@pytest.fixture(name="bare", scope="module")
def _bare() -> engine.Physics:
    return _walker(False)


def _walker(remembers: bool) -> engine.Physics:
    environment = suite.load("walker", "walk", task_kwargs={"random": 3})
    if remembers:
        named_indexing.remember_names(environment.physics)
    environment.reset()
    return environment.physics


@pytest.mark.parametrize("field, key", _KEYS.values(), ids=_KEYS)
def test_gives_what_dm_control_gives(physics: engine.Physics, bare: engine.Physics, field: str, key: object) -> None:
    expected = getattr(bare.named.data, field)[key]
    for _ in range(2):
        got = getattr(physics.named.data, field)[key]
        np.testing.assert_array_equal(got, expected)
        assert np.shape(got) == np.shape(expected) and np.size(expected)


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    physics = _walker(True)
    indexer = physics.named.data.xmat
    converted: list[object] = []
    own = type(indexer.axes.row).convert_key_item
    monkeypatch.setattr(
        type(indexer.axes.row), "convert_key_item", lambda axis, key: (converted.append(key), own(axis, key))[1]
    )
    for _ in range(3):
        _ = indexer["torso", ["zz", "xz"]]
    assert converted == ["torso", ["zz", "xz"]]


def test_reads_the_present_state_and_writes_to_it() -> None:
    physics = _walker(True)
    for angle in (0.25, 0.5):
        physics.named.data.qpos["right_hip"] = angle
        assert physics.named.data.qpos["right_hip"] == [angle]
        assert angle in physics.data.qpos


@pytest.mark.parametrize(
    "key, error",
    [
        pytest.param("no_such_body", KeyError, id="unknown name"),
        pytest.param("", IndexError, id="empty name"),
        pytest.param(("torso", "x", "y"), IndexError, id="too many"),
        pytest.param(None, IndexError, id="None"),
    ],
)
def test_refuses_what_dm_control_refuses_each_time(
    physics: engine.Physics, key: object, error: type[Exception]
) -> None:
    for _ in range(2):
        with pytest.raises(error):
            _ = physics.named.data.xpos[key]
