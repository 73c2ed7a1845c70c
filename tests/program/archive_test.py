"""Tests of `tfquarl.program.archive`."""

import dataclasses
import errno
import json
import math
import os
import pathlib
import shutil
from typing import Any

import pytest

from tfquarl.core import errors
from tfquarl.core import files
from tfquarl.core import records
from tfquarl.program import archive
from tfquarl.program import artifact_file


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    mean_return: float
    confirmed: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "confirmed": self.confirmed,
            "quantized": {"mean_return": self.mean_return},
            "float32": {"mean_return": 1.0},
        }


def _artifact(version, recipe="static_wi8_ai8"):
    model = f"{recipe} {version}".encode()
    return records.PolicyArtifact(version, version * 100, recipe, model, {"environment": {"name": "gym:X-v0"}})


def _save(kept, version, mean_return=0.0):
    return kept.save(_artifact(version), _artifact(version, "float32"), _Evaluation(mean_return))


def _link(tmp_path, name):
    return os.readlink(tmp_path / "policies" / name)


def test_a_version_is_kept_with_its_files_and_links(tmp_path):
    directory = _save(archive.PolicyArchive(tmp_path), 3, mean_return=20.0)

    assert directory == tmp_path / "policies" / "3"
    assert sorted(os.listdir(directory)) == [
        "evaluation.json",
        "manifest.json",
        "policy.tflite",
        "policy_float32.json",
        "policy_float32.tflite",
    ]
    assert sorted(os.listdir(tmp_path / "policies")) == ["3", "best", "latest"]
    assert json.loads((directory / "evaluation.json").read_text())["quantized"] == {"mean_return": 20.0}
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest.pop("signature").startswith("sha256:")
    assert manifest == {
        "version": 3,
        "train_step": 300,
        "recipe": "static_wi8_ai8",
        "sha256": _artifact(3).digest,
        "size_bytes": 16,
        "environment": {"name": "gym:X-v0"},
    }


@pytest.mark.parametrize(
    "returns, best",
    [
        ([10.0], "1"),
        ([10.0, 30.0, 20.0], "2"),
        ([10.0, 30.0, 30.0], "3"),
        ([math.nan, -5.0], "2"),
        ([-5.0, math.nan], "1"),
    ],
    ids=["one", "middle", "newer_of_equals", "nan_first", "nan_last"],
)
def test_best_has_the_highest_return_and_latest_is_the_last(tmp_path, returns, best):
    kept = archive.PolicyArchive(tmp_path)
    for version, mean_return in enumerate(returns, start=1):
        _save(kept, version, mean_return)

    assert (_link(tmp_path, "best"), _link(tmp_path, "latest")) == (best, str(len(returns)))


def test_a_confirmed_return_is_better_than_a_first_look(tmp_path):
    kept = archive.PolicyArchive(tmp_path)
    for version, mean_return, confirmed in [(1, 10.0, False), (2, 30.0, False), (3, 20.0, True), (4, 40.0, False)]:
        kept.save(_artifact(version), _artifact(version, "float32"), _Evaluation(mean_return, confirmed))
        assert _link(tmp_path, "best") == {1: "1", 2: "2", 3: "3", 4: "3"}[version]


def test_links_are_relative_so_that_a_run_can_be_moved(tmp_path):
    _save(archive.PolicyArchive(tmp_path / "a"), 1)
    shutil.move(tmp_path / "a", tmp_path / "b")

    assert archive.load(tmp_path / "b") == _artifact(1)


def _copy_with_links_followed(tmp_path):
    _save(archive.PolicyArchive(tmp_path / "a"), 1, 30.0)
    _save(archive.PolicyArchive(tmp_path / "a"), 2, 20.0)
    shutil.copytree(tmp_path / "a", tmp_path / "b", symlinks=False)
    return tmp_path / "b"


def test_a_copy_with_links_followed_goes_on_with_links(tmp_path):
    copy = _copy_with_links_followed(tmp_path)
    _save(archive.PolicyArchive(copy), 3, 10.0)
    assert sorted(os.listdir(copy / "policies")) == ["1", "2", "3", "best", "latest"]
    assert (_link(copy, "best"), _link(copy, "latest")) == ("1", "3")


def test_the_only_copy_of_a_policy_in_a_links_place_becomes_its_version_again(tmp_path):
    copy = _copy_with_links_followed(tmp_path)
    shutil.rmtree(copy / "policies" / "1")
    _save(archive.PolicyArchive(copy), 3, 10.0)
    assert _link(copy, "best") == "1"
    assert archive.load(copy) == _artifact(1)


def test_what_is_no_policy_in_a_links_place_stays_and_is_told(tmp_path):
    copy = _copy_with_links_followed(tmp_path)
    (copy / "policies" / "best" / "policy.tflite").write_bytes(b"other")
    with pytest.raises(
        errors.StorageError, match=r"policies/best lies where a link has to be, .*sha256.*; move it away"
    ):
        _save(archive.PolicyArchive(copy), 3, 10.0)
    assert (copy / "policies" / "best" / "policy.tflite").read_bytes() == b"other"


def test_a_version_that_is_judged_again_is_replaced_and_ranked_anew(tmp_path):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1, mean_return=30.0)
    _save(kept, 2, mean_return=40.0)
    _save(kept, 2, mean_return=20.0)

    assert _link(tmp_path, "best") == "1"
    assert kept.versions() == [1, 2]
    assert archive.load(tmp_path, "2") == _artifact(2)


@pytest.mark.parametrize(
    "max_to_keep, versions",
    [(0, [2, 12]), (1, [2, 11, 12]), (5, [2, 7, 8, 9, 10, 11, 12]), (100, list(range(1, 13)))],
    ids=["0", "1", "5", "100"],
)
def test_old_versions_go_but_never_the_best_or_the_latest(tmp_path, max_to_keep, versions):
    kept = archive.PolicyArchive(tmp_path, max_to_keep)
    for version in range(1, 13):
        _save(kept, version, mean_return=50.0 if version == 2 else 1.0)

    assert kept.versions() == versions
    assert (_link(tmp_path, "best"), _link(tmp_path, "latest")) == ("2", "12")


def test_a_full_disk_leaves_what_was_kept(tmp_path, monkeypatch):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1)

    def no_space(path, value):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write_json", no_space)
    with pytest.raises(errors.StorageError, match=r"keeping policy 2 in .* failed: No space left"):
        _save(kept, 2)

    assert sorted(os.listdir(tmp_path / "policies")) == ["1", "best", "latest"]
    assert archive.load(tmp_path, "latest") == _artifact(1)


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    (tmp_path / "policies" / ".1.abc").mkdir(parents=True)
    _save(archive.PolicyArchive(tmp_path), 1)

    assert sorted(os.listdir(tmp_path / "policies")) == ["1", "best", "latest"]


def test_a_version_whose_replacement_failed_stays_as_it_was(tmp_path, monkeypatch):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1, mean_return=10.0)
    rename = pathlib.Path.rename

    def full(path, target):
        if path.name == "new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", full)
    with pytest.raises(errors.StorageError, match="No space left"):
        _save(kept, 1, mean_return=20.0)

    assert archive.load(tmp_path, "best") == _artifact(1)
    assert [verdict["quantized"]["mean_return"] for verdict in kept.evaluations()] == [10.0]


def test_a_version_whose_replacement_was_killed_is_back_at_the_next_save(tmp_path):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1, mean_return=10.0)
    aside = tmp_path / "policies" / ".1.abc"
    aside.mkdir()
    (tmp_path / "policies" / "1").rename(aside / "replaced")
    _save(kept, 2, mean_return=5.0)

    assert sorted(os.listdir(tmp_path / "policies")) == ["1", "2", "best", "latest"]
    assert archive.load(tmp_path, "best") == _artifact(1)


def test_a_version_whose_removal_was_killed_is_gone(tmp_path, monkeypatch):
    kept = archive.PolicyArchive(tmp_path, max_to_keep=0)
    _save(kept, 1, mean_return=10.0)
    _save(kept, 2, mean_return=20.0)
    rmtree = shutil.rmtree

    def killed(path, *arguments, **keywords):
        verdict = next(pathlib.Path(path).rglob("evaluation.json"), None)
        if verdict is None:  # the temporary directory of the new version
            return rmtree(path, *arguments, **keywords)
        verdict.unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        _save(kept, 3, mean_return=30.0)

    assert kept.versions() == [3]
    assert [verdict["quantized"]["mean_return"] for verdict in kept.evaluations()] == [30.0]
    monkeypatch.undo()
    _save(kept, 4)
    assert sorted(os.listdir(tmp_path / "policies")) == ["3", "4", "best", "latest"]


def test_a_version_without_its_verdict_is_passed_over(tmp_path):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1, mean_return=10.0)
    _save(kept, 2, mean_return=20.0)
    (tmp_path / "policies" / "2" / "evaluation.json").unlink()

    assert [verdict["quantized"]["mean_return"] for verdict in kept.evaluations()] == [10.0]
    _save(kept, 3)
    assert _link(tmp_path, "best") == "1"


@pytest.mark.parametrize("name", ["²", "٣", "x"])
def test_a_directory_that_is_no_version_is_passed_over(tmp_path, name):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1)
    (tmp_path / "policies" / name).mkdir()

    assert kept.versions() == [1]
    with pytest.raises(errors.ConfigError, match=f"version is '{name}', needs 'best', 'latest' or a number"):
        archive.load(tmp_path, name)


def test_an_archive_that_was_never_written_is_empty(tmp_path):
    assert archive.PolicyArchive(tmp_path).versions() == []


@pytest.mark.parametrize(
    "path, version, expected",
    [
        ("", "best", 1),
        ("", "latest", 2),
        ("", "2", 2),
        ("policies", "latest", 2),
        ("policies/2", "best", 2),
        ("policies/best", "latest", 1),
        ("policies/2/policy.tflite", "best", 2),
    ],
    ids=["run_best", "run_latest", "run_number", "policies", "version_directory", "link", "file"],
)
def test_load_finds_what_the_user_means(tmp_path, path, version, expected):
    kept = archive.PolicyArchive(tmp_path)
    _save(kept, 1, mean_return=9.0)
    _save(kept, 2, mean_return=8.0)

    pair = archive.load_pair(tmp_path / path, version)
    assert archive.load(tmp_path / path, version) == pair.artifact == _artifact(expected)
    assert pair.reference_for("exports") == pair.reference == _artifact(expected, "float32")


def test_the_float_policys_file_loads_by_itself(tmp_path):
    directory = _save(archive.PolicyArchive(tmp_path), 1)

    assert archive.load(directory / "policy_float32.tflite") == _artifact(1, "float32")
    pair = archive.load_pair(directory / "policy_float32.tflite")
    assert pair.reference is pair.artifact


@pytest.mark.parametrize("is_there", [True, False], ids=["of another version", "missing"])
def test_a_policy_without_its_float_one_says_what_needs_it(tmp_path, is_there):
    old = _save(archive.PolicyArchive(tmp_path), 1)
    directory = shutil.copytree(_save(archive.PolicyArchive(tmp_path), 2), tmp_path / "copy")
    if is_there:
        _swap(directory, old / "policy_float32.tflite", "policy_float32.tflite")
    else:
        (directory / "policy_float32.tflite").unlink()

    pair = archive.load_pair(directory)
    assert (pair.artifact, pair.reference) == (_artifact(2), None)
    message = "copy/policy.tflite has no float policy of the same version beside it; exports need policy_float32.tflite"
    with pytest.raises(errors.ConfigError, match=message):
        pair.reference_for("exports")


def test_a_pair_that_is_nowhere_is_a_config_error(tmp_path):
    with pytest.raises(errors.ConfigError, match=r"there is no '.*nowhere'; give a run directory or a .tflite file"):
        archive.load_pair(tmp_path / "nowhere")


def test_a_renamed_model_loads_with_its_manifest_beside_it(tmp_path):
    directory = _save(archive.PolicyArchive(tmp_path), 1)
    (directory / "policy.tflite").rename(directory / "walker.tflite")

    assert archive.load(directory / "walker.tflite") == _artifact(1)


def _swap(directory, source, target):
    """Puts a policy with its manifest in another's place."""
    manifests = {"policy.tflite": "manifest.json", "policy_float32.tflite": "policy_float32.json"}
    for old, new in ((source.name, target), (manifests[source.name], manifests[target])):
        shutil.copyfile(source.with_name(old), directory / new)


@pytest.mark.parametrize("name", ["policy.tflite", "policy_float32.tflite"])
@pytest.mark.parametrize("path", ["", "policies/2", "policies/best", "policies/2/policy.tflite"])
def test_a_signed_policy_in_the_place_of_another_version_is_refused(tmp_path, path, name):
    key = b"0123456789abcdef"
    kept = archive.PolicyArchive(tmp_path, key=key)
    old = _save(kept, 1, mean_return=1.0)
    best = _save(kept, 2, mean_return=2.0)
    _swap(best, old / name, name)

    for load in (archive.load, archive.load_pair) if name == "policy.tflite" else (archive.load_pair,):
        with pytest.raises(errors.ArtifactError, match="is policy 1 by its manifest, and lies where policy 2 was kept"):
            load(tmp_path / path, key=key)


def test_a_signed_policy_in_the_place_of_the_float_one_is_refused(tmp_path):
    directory = _save(archive.PolicyArchive(tmp_path), 1)
    _swap(directory, directory / "policy.tflite", "policy_float32.tflite")

    with pytest.raises(errors.ArtifactError, match=r"is of recipe static_wi8_ai8 .* where the float policy was kept"):
        archive.load_pair(tmp_path)


def test_a_version_that_was_copied_elsewhere_loads(tmp_path):
    directory = _save(archive.PolicyArchive(tmp_path), 1)
    shutil.copytree(directory, tmp_path / "7")

    assert archive.load(tmp_path / "7") == _artifact(1)


@pytest.mark.parametrize(
    "path, version, message",
    [
        ("", "3", "no policy '3': it has 1, best, latest"),
        ("", "../1", "version is '../1', needs 'best', 'latest' or a number"),
        ("empty", "best", "no policy 'best': it has none"),
        ("missing", "best", "there is no '.*missing'; give a run directory or a .tflite file"),
    ],
    ids=["unknown_version", "no_version", "empty", "missing"],
)
def test_a_policy_that_is_not_there_is_a_config_error(tmp_path, path, version, message):
    _save(archive.PolicyArchive(tmp_path), 1)
    (tmp_path / "empty").mkdir()

    with pytest.raises(errors.ConfigError, match=message):
        archive.load(tmp_path / path, version)


def test_a_missing_manifest_is_a_config_error(tmp_path):
    directory = _save(archive.PolicyArchive(tmp_path), 1)
    (directory / "manifest.json").unlink()

    with pytest.raises(errors.ConfigError, match=r"manifest.json is missing"):
        archive.load(directory)


@pytest.mark.parametrize("position", [0, -1])
def test_an_altered_model_is_refused(tmp_path, position):
    model = _save(archive.PolicyArchive(tmp_path), 1) / "policy.tflite"
    data = bytearray(model.read_bytes())
    data[position] ^= 1
    model.write_bytes(data)

    with pytest.raises(errors.ArtifactError, match=r"policy.tflite has sha256 .* truncated or altered"):
        archive.load(tmp_path)


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{}", '{"version": "x", "train_step": 1, "recipe": "a", "sha256": "b"}']
)
def test_a_damaged_manifest_is_refused(tmp_path, manifest):
    directory = _save(archive.PolicyArchive(tmp_path), 1)
    (directory / "manifest.json").write_text(manifest)

    with pytest.raises(errors.ArtifactError, match=r"manifest.json"):
        archive.load(tmp_path)


def test_a_damaged_evaluation_is_named(tmp_path):
    kept = archive.PolicyArchive(tmp_path)
    (_save(kept, 1) / "evaluation.json").write_text("{}")

    with pytest.raises(errors.ArtifactError, match=r"1/evaluation.json lacks 'confirmed' or a quantized"):
        _save(kept, 2)


def test_a_manifest_with_a_reserved_key_is_a_mistake(tmp_path):
    artifact = dataclasses.replace(_artifact(1), manifest={"sha256": "x"})

    with pytest.raises(ValueError, match="reserved keys"):
        artifact_file.write_artifact(artifact, tmp_path / "policy.tflite")


def test_keeping_a_negative_number_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="max_to_keep is -1"):
        archive.PolicyArchive(tmp_path, max_to_keep=-1)
