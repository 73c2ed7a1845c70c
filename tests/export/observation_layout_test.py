"""Names and units of observation elements."""

import json
import os
import pathlib

import pytest

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.export import observation_layout
from tfquarl.testing import tiny_policies


def _spec(name: str, *fields: tuple[str, tuple[int, ...], int]) -> environment_spec.EnvironmentSpec:
    parts = tuple(environment_spec.ObservationField(*field) for field in fields)
    return environment_spec.EnvironmentSpec(name, parts, num_actions=2)


def test_a_known_gym_task():
    rows = observation_layout.observation_layout(_spec("gym:CartPole-v1", ("observation", (4,), 0)))
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert rows[2] == {"index": 2, "field": "observation", "name": "pole angle", "unit": "rad"}


def test_fields_of_the_control_suite_keep_their_order():
    spec = _spec("dm_control:walker-walk", ("orientations", (2, 2), 0), ("height", (), 4))
    rows = observation_layout.observation_layout(spec)
    assert [row["name"] for row in rows] == [
        "orientations[0,0]",
        "orientations[0,1]",
        "orientations[1,0]",
        "orientations[1,1]",
        "height",
    ]
    assert rows[4] == {"index": 4, "field": "height", "name": "height", "unit": "m"}


def test_units_that_the_user_gives(tmp_path: pathlib.Path):
    joints = [{"name": "shoulder", "unit": "rad"}, {"name": "elbow", "unit": "rad"}]
    (tmp_path / "units.json").write_text(json.dumps({"joints": joints}))
    rows = observation_layout.observation_layout(
        tiny_policies.ARM_SPEC, observation_layout.read_units(tmp_path / "units.json")
    )
    assert [(row["name"], row["unit"]) for row in rows] == [
        ("shoulder", "rad"),
        ("elbow", "rad"),
        ("grip", observation_layout.UNKNOWN_UNIT),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            '{"joints": [{"name": "elbow", "unit": "rad"}]}',
            r"1 elements of field 'joints'; lab:arm has joints \(2\), grip \(1\)",
        ),
        ('{"hand": []}', "0 elements of field 'hand'"),
        ('{"joints": [1]}', "no JSON of the form"),
        ("[]", "no JSON of the form"),
        ("{", "no JSON of the form"),
        ("[" * 100_000, "no JSON of the form"),
    ],
    ids=["another number", "unknown field", "no object", "no mapping", "no JSON", "nested without end"],
)
def test_units_that_do_not_fit(tmp_path: pathlib.Path, text: str, complaint: str):
    (tmp_path / "units.json").write_text(text)
    with pytest.raises(errors.ConfigError, match=complaint):
        observation_layout.observation_layout(
            tiny_policies.ARM_SPEC, observation_layout.read_units(tmp_path / "units.json")
        )


def test_units_of_more_bytes_than_any_are_refused(tmp_path: pathlib.Path):
    (tmp_path / "units.json").write_text("{}")
    os.truncate(tmp_path / "units.json", 3 << 30)
    with pytest.raises(errors.ArtifactError, match=r"units.json has 3221225472 bytes, at most"):
        observation_layout.read_units(tmp_path / "units.json")
