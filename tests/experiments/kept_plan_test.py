"""Tests of tfquarl/experiments/kept_plan.py."""

import dataclasses
import pathlib
import signal

import pytest

from tfquarl.core import errors
from tfquarl.experiments import kept_plan

_OLD = kept_plan.KeptPlan("sweep", {"A.x": "1", "B.y": "None"}, ["first"])


def _go_on(directory: pathlib.Path, plan: kept_plan.KeptPlan) -> kept_plan.KeptPlan:
    """Begins and ends."""
    with kept_plan.go_on(directory, plan) as kept:
        return kept


@dataclasses.dataclass(frozen=True)
class _Part:
    sizes: tuple[int, ...] = (2, 3)


@dataclasses.dataclass(frozen=True)
class _Whole:
    part: _Part = dataclasses.field(default_factory=_Part)
    name: str = "a"


def test_settings_are_all_values_of_the_tree():
    assert kept_plan.settings_of(_Whole()) == {"_Whole.part": "@_Part()", "_Part.sizes": "(2, 3)", "_Whole.name": "'a'"}


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"A.x": "1", "B.y": "None"}, {"A.x": "1", "B.y": "None"}),
        ({"A.x": "1", "C.z": "5"}, {"A.x": "1", "B.y": "None", "C.z": "5"}),
        ({}, {"A.x": "1", "B.y": "None"}),
    ],
    ids=["the same", "one more", "all of them vary"],
)
def test_what_agrees_goes_on_and_adds_to_what_is_kept(settings: dict[str, str], kept: dict[str, str], tmp_path):
    _go_on(tmp_path / "deep" / "sweep", _OLD)
    for command in ("second", "first"):
        found = _go_on(tmp_path / "deep" / "sweep", kept_plan.KeptPlan("sweep", settings, [command]))
    assert found == kept_plan.KeptPlan("sweep", kept, ["first", "second"])


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (
            kept_plan.KeptPlan("sweep", {"A.x": "3", "B.y": "None"}),
            r"holds a sweep that can't go on with other settings: A\.x: 1 -> 3; give what it was begun with",
        ),
        (kept_plan.KeptPlan("sweep", {"A.x": "3", "B.y": "2"}), r"A\.x: 1 -> 3; B\.y: None -> 2;"),
        (kept_plan.KeptPlan("study", {"A.x": "1"}), "holds a sweep, needs a study"),
    ],
    ids=["one setting", "two settings", "another kind"],
)
def test_what_differs_is_named_and_changes_nothing(plan: kept_plan.KeptPlan, message: str, tmp_path):
    _go_on(tmp_path, _OLD)
    before = (tmp_path / "plan.json").read_bytes()
    with pytest.raises(errors.ConfigError, match=message):
        _go_on(tmp_path, plan)
    assert (tmp_path / "plan.json").read_bytes() == before


def test_a_directory_of_something_else_is_refused(tmp_path: pathlib.Path):
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(errors.ConfigError, match=r"is not empty and holds no sweep"):
        _go_on(tmp_path, _OLD)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "sweep"}', '{"kind": "sweep", "settings": 1}'])
def test_a_damaged_plan_is_named(text: str, tmp_path: pathlib.Path):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(errors.ArtifactError, match=r"plan\.json can't be read"):
        _go_on(tmp_path, _OLD)


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: pathlib.Path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.StorageError, match=r"making .*file/sweep failed: Not a directory"):
        _go_on(tmp_path / "file" / "sweep", _OLD)


def test_a_directory_is_for_one_program_at_a_time(tmp_path: pathlib.Path):
    told = r"is in use by the sweep of process \d+; wait for its end"
    with kept_plan.go_on(tmp_path, _OLD), pytest.raises(errors.ConfigError, match=told):
        _go_on(tmp_path, _OLD)
    assert _go_on(tmp_path, _OLD) == _OLD


def test_one_that_was_ended_before_it_kept_anything_is_empty(tmp_path: pathlib.Path):
    (tmp_path / ".lock").touch()
    assert _go_on(tmp_path, _OLD) == _OLD


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_ends_the_program_lets_it_end_its_runs(number: signal.Signals, tmp_path: pathlib.Path):
    handler = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), kept_plan.go_on(tmp_path, _OLD):
        signal.raise_signal(number)
    assert signal.getsignal(number) is handler
    _go_on(tmp_path, _OLD)
