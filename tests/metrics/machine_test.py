"""Tests of `tfquarl.metrics.machine`."""

import importlib.metadata
import json
import subprocess

import pytest

from tfquarl.metrics import machine

_X86 = "processor\t: 0\nmodel name\t: Some CPU @ 2GHz\nflags\t\t: fpu avx2 avx512_vnni\n\nprocessor\t: 1\nmodel name\t: Other\n"
_ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


@pytest.mark.parametrize(
    "cpuinfo, flags",
    [(_X86, ["avx2", "avx512_vnni"]), (_ARM, ["asimddp", "i8mm"]), ("", [])],
    ids=["x86", "arm", "empty"],
)
def test_flags_that_matter_are_told(tmp_path, cpuinfo, flags):
    (tmp_path / "cpuinfo").write_text(cpuinfo)

    assert machine.describe_machine(tmp_path)["flags"] == flags


def test_machine_is_described_by_plain_json(tmp_path):
    (tmp_path / "cpuinfo").write_text(_X86)
    (tmp_path / "meminfo").write_text("MemTotal:        2048 kB\nMemFree: 1 kB\n")
    description = machine.describe_machine(tmp_path)

    assert (description["cpu"], description["memory_bytes"]) == ("Some CPU @ 2GHz", 2048 * 1024)
    assert description["cores"] >= 1
    assert json.loads(json.dumps(description)) == description


def test_a_system_without_proc_is_described_too(tmp_path):
    assert machine.describe_machine(tmp_path / "missing")["memory_bytes"] == 0
    assert machine.memory_bytes(tmp_path / "missing") == 0


def test_versions_are_those_installed():
    versions = machine.package_versions(("numpy", "no-such-package-of-ours"))

    assert set(versions) == {"python", "numpy"}
    assert versions["numpy"] == importlib.metadata.version("numpy")


def test_commit_of_a_source_tree(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    environment = {"BUILD_WORKSPACE_DIRECTORY": str(tmp_path)}

    commit = machine.git_commit(environment)
    (tmp_path / "file").write_text("2")

    assert commit is not None and len(commit) == 40
    assert machine.git_commit(environment) == f"{commit}-dirty"


def test_no_source_tree_has_no_commit(tmp_path):
    assert machine.git_commit({"BUILD_WORKSPACE_DIRECTORY": str(tmp_path)}) is None
