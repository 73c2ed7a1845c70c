"""The arm64 runtime: why it can be missing, what is refused on the way, and a model on it where it has been fetched."""

import os
import pathlib
import platform
import zipfile

import numpy as np
import pytest

from tests.export import tiny_models
from tfquarl.export import arm64
from tfquarl.export import edge_model
from tfquarl.export import tolerance
from tfquarl.export import verification
from tfquarl.runtime import trial
from tfquarl.testing import tiny_policies

needs_another_machine = pytest.mark.skipif(platform.machine() == "aarch64", reason="this machine is arm64 itself")


def _program(directory: pathlib.Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


def test_an_arm64_machine_needs_no_emulation(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(arm64.UnavailableError, match="this machine is arm64 itself"):
        arm64.runtimes(tmp_path)


@needs_another_machine
@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({}, "apt-get is missing: the arm64 system comes from Debian's packages"),
        ({"apt-get": "exit 0"}, "dpkg-deb is missing"),
        ({"apt-get": "echo 'W: old' >&2; echo 'E: no network' >&2; exit 100", "dpkg-deb": ""}, "apt-get failed: E: no"),
        ({"apt-get": "exit 3", "dpkg-deb": ""}, "apt-get failed: no word"),
        (
            {
                "apt-get": 'case "$*" in *install*) echo "E: Unable to locate package python3.11" >&2; exit 100;; esac',
                "dpkg-deb": "",
            },
            "apt-get failed: E: Unable to locate package python3.11",
        ),
    ],
    ids=["no apt", "no dpkg", "no network", "silent failure", "a suite with another Python"],
)
def test_why_it_is_not_to_be_had_and_that_nothing_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, programs: dict[str, str], reason: str
):
    for name, text in programs.items():
        _program(tmp_path / "bin", name, text)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(arm64.UnavailableError, match=reason):
        arm64.runtimes(tmp_path / "cache")
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


@needs_another_machine
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written(tmp_path: pathlib.Path):
    tmp_path.chmod(0o500)
    with pytest.raises(arm64.UnavailableError, match="Permission denied"):
        arm64.runtimes(tmp_path / "cache")


@needs_another_machine
def test_a_cache_below_a_file(tmp_path: pathlib.Path):
    (tmp_path / "file").touch()
    with pytest.raises(arm64.UnavailableError, match=r"Not a directory|File exists"):
        arm64.runtimes(tmp_path / "file" / "cache")


def test_a_wheel_of_another_content_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
    try:
        arm64._pip()
    except arm64.UnavailableError as error:
        pytest.skip(str(error))
    index = tmp_path / "index"
    index.mkdir()
    for line in arm64.REQUIREMENTS.splitlines():
        name, version = line.split()[0].split("==")
        _write_wheel(index, name.replace("-", "_"), version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    with pytest.raises(arm64.UnavailableError, match="DO NOT MATCH THE HASHES"):
        arm64._fetch_wheels(tmp_path / "work", tmp_path / "wheels")
    assert not list((tmp_path / "wheels").iterdir())
    hashless = "\n".join(line.split()[0] for line in arm64.REQUIREMENTS.splitlines())
    monkeypatch.setattr(arm64, "REQUIREMENTS", hashless)
    with pytest.raises(arm64.UnavailableError, match="Hashes are required"):
        arm64._fetch_wheels(tmp_path / "work_2", tmp_path / "wheels_2")


def _write_wheel(directory: pathlib.Path, name: str, version: str) -> None:
    """A wheel that pip would take if it did not look at the content."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(directory / f"{name}-{version}-cp311-cp311-manylinux2014_aarch64.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux2014_aarch64\n")
        archive.writestr(f"{info}/RECORD", "")


def test_what_is_pinned_names_the_place_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
    assert all("--hash=sha256:" in line for line in arm64.REQUIREMENTS.splitlines())
    before = arm64.location(tmp_path)
    assert before.parent == tmp_path
    monkeypatch.setattr(arm64, "REQUIREMENTS", arm64.REQUIREMENTS.replace("1.4.0", "1.4.1"))
    assert arm64.location(tmp_path) != before


@needs_another_machine
def test_it_starts_python_by_the_emulator(tmp_path: pathlib.Path):
    arm64.location(tmp_path).mkdir()
    runtimes = arm64.runtimes(tmp_path)
    assert [runtime.name for runtime in runtimes] == [
        "ai-edge-litert xnnpack arm64 (cortex-a72, qemu-user)",
        "ai-edge-litert builtin arm64 (cortex-a72, qemu-user)",
    ]
    for runtime in runtimes:
        assert runtime.command[0].endswith("qemu-aarch64-static")
        assert runtime.command[-1] == str(arm64.location(tmp_path) / "system" / "usr" / "bin" / "python3.11")
        assert runtime.environment["PYTHONPATH"] == str(arm64.location(tmp_path) / "wheels")


@needs_another_machine
def test_a_policy_acts_on_arm64_as_it_does_here():
    if not arm64.location().is_dir():
        pytest.skip(f"{arm64.location()} is not there; an export with --verify=arm64 fetches it")
    arm = tiny_policies.arm_policy()
    model = edge_model.make_edge_model(tiny_models.convert(arm), "int8", "action", {})
    runtimes = [trial.Runtime("ai-edge-litert", "xnnpack"), *arm64.runtimes()]
    trials = verification.run_trials(model, model.encode(arm.observations[:32]), runtimes)
    limits = tolerance.make_tolerance(model, model.decode(verification.outputs_of(trials[0])))
    rows = verification.compare(model, trials, limits, np.arange(32))
    assert [row["status"] for row in rows] == ["passed"] * 3, rows
    assert [row["version"] for row in rows[1:]] == ["1.4.0", "1.4.0"]
    assert len(np.unique(verification.outputs_of(trials[1]))) > 10
