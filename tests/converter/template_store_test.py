"""Tests of converter.template_store, alone and with the converter that it saves TFLiteConverter's seconds."""

import os
import pathlib

import numpy as np
import pytest

from tests.converter import policies
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.converter import template_store
from tfquarl.core import records
from tfquarl.quantization import recipe as recipe_lib

_ARCHITECTURE = policies.architecture("q_values", (16, 8))
_RECIPE = recipe_lib.static_wi8_ai8()
_MODEL = bytes(range(200))
_OBSERVATIONS = np.random.default_rng(0).standard_normal((64, 5), np.float32)


class _NoReference(reference_process.ReferenceProcess):
    """A process that nobody may ask."""

    def convert(self, request: object) -> bytes:
        raise AssertionError("TFLiteConverter was asked")


def _kept(directory: pathlib.Path) -> tuple[template_store.TemplateStore, pathlib.Path]:
    store = template_store.TemplateStore(directory / "templates")
    store.keep(_ARCHITECTURE, _RECIPE, True, _MODEL)
    (path,) = (directory / "templates").iterdir()
    return store, path


def test_what_was_kept_is_found_by_another_store_and_by_its_owner_alone(tmp_path: pathlib.Path):
    _, path = _kept(tmp_path)
    assert template_store.TemplateStore(path.parent).find(_ARCHITECTURE, _RECIPE, True) == _MODEL
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("architecture", "recipe", "scale_observations"),
    [
        (policies.architecture("q_values", (16, 9)), _RECIPE, True),
        (policies.architecture("q_values", (16, 8), "tanh"), _RECIPE, True),
        (_ARCHITECTURE, recipe_lib.float32(), True),
        (_ARCHITECTURE, recipe_lib.static_wi8_ai8(io="int8"), True),
        (_ARCHITECTURE, _RECIPE, False),
    ],
    ids=["other sizes", "other activation", "other recipe", "integer input", "no scaling"],
)
def test_other_templates_are_not_found(architecture, recipe, scale_observations: bool, tmp_path: pathlib.Path):
    store, _ = _kept(tmp_path)
    assert store.find(architecture, recipe, scale_observations) is None


@pytest.mark.parametrize("version", ["2.15.0", "2.16.1"])
def test_another_tensorflow_has_other_templates(version: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    store, _ = _kept(tmp_path)
    monkeypatch.setattr(template_store.metadata, "version", lambda name: version)
    assert store.find(_ARCHITECTURE, _RECIPE, True) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("_processor", lambda: "flags : fpu"), ("_SOURCES", ("core",))],
    ids=["another processor", "another version of the converter"],
)
def test_another_maker_has_other_templates(
    name: str, value: object, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
    store, _ = _kept(tmp_path)
    monkeypatch.setattr(template_store, name, value)
    assert store.find(_ARCHITECTURE, _RECIPE, True) is None


def test_an_altered_or_truncated_file_is_not_used(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture):
    store, path = _kept(tmp_path)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert store.find(_ARCHITECTURE, _RECIPE, True) is None, place
        path.write_bytes(data[:place])
        assert store.find(_ARCHITECTURE, _RECIPE, True) is None, place
    assert "was altered or cut off; the template is compiled anew" in caplog.text


def test_a_file_of_another_template_is_not_used(tmp_path: pathlib.Path):
    store, path = _kept(tmp_path)
    store.keep(_ARCHITECTURE, recipe_lib.float32(), True, _MODEL)
    (other,) = set(path.parent.iterdir()) - {path}
    os.replace(other, path)
    assert store.find(_ARCHITECTURE, _RECIPE, True) is None


def test_a_place_that_can_t_be_written_is_no_error(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").write_text("")
    store = template_store.TemplateStore(tmp_path / "file")
    store.keep(_ARCHITECTURE, _RECIPE, True, _MODEL)
    assert store.find(_ARCHITECTURE, _RECIPE, True) is None
    assert "The next run will compile this template again" in caplog.text


def test_what_was_kept_longest_ago_goes_first(tmp_path: pathlib.Path):
    file_bytes = 32 + len(_MODEL)
    store = template_store.TemplateStore(tmp_path, 2 * file_bytes)
    for age, name in enumerate(("float32", "float16", "static_wi8_ai8")):
        store.keep(_ARCHITECTURE, recipe_lib.from_name(name), True, _MODEL)
        for path in tmp_path.iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
        assert len(list(tmp_path.iterdir())) == min(age + 1, 2)
    found = [store.find(_ARCHITECTURE, recipe_lib.from_name(name), True) for name in ("float32", "float16")]
    assert found == [None, _MODEL]


@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({"HOME": "/home/someone"}, "/home/someone/.cache/tfquarl/templates"),
        ({"HOME": "/home/someone", "XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/tfquarl/templates"),
    ],
    ids=["home", "another cache"],
)
def test_the_directory_is_in_the_user_s_cache(variables, directory: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store = template_store.default_store()
    assert store is not None and str(store.directory) == directory


def test_a_user_without_a_home_keeps_none(monkeypatch: pytest.MonkeyPatch):
    def no_home(path: pathlib.Path) -> pathlib.Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pathlib.Path, "expanduser", no_home)
    assert template_store.default_store() is None


@pytest.mark.parametrize("name", ["static_wi8_ai8", "qat_wi4_ai4"])
def test_a_second_run_gives_the_same_models_without_tensorflow(name: str, tmp_path: pathlib.Path):
    recipe = recipe_lib.from_name(name)
    snapshot = records.PolicySnapshot(1, 10, policies.variables(_ARCHITECTURE, np.random.default_rng(1)))
    store = template_store.TemplateStore(tmp_path)
    reference = reference_process.ReferenceProcess()
    first = policy_converter.PolicyConverter(_ARCHITECTURE, recipe, True, reference, store)
    expected = first.convert(snapshot, _OBSERVATIONS)
    again = policy_converter.PolicyConverter(_ARCHITECTURE, recipe, True, _NoReference(), store)
    assert again.convert(snapshot, _OBSERVATIONS) == expected

    # A file that is whole and no policy: compiled anew, and mended.
    store.keep(_ARCHITECTURE, recipe_lib.static_wi8_ai8(), True, _MODEL)
    mending = policy_converter.PolicyConverter(_ARCHITECTURE, recipe, True, reference, store)
    assert mending.convert(snapshot, _OBSERVATIONS) == expected
    reference.close()
    once_more = policy_converter.PolicyConverter(_ARCHITECTURE, recipe, True, _NoReference(), store)
    assert once_more.convert(snapshot, _OBSERVATIONS) == expected
