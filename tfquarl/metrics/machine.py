"""What a figure was measured on: the machine, the versions of the packages, the commit of the source."""

from collections.abc import Mapping
from collections.abc import Sequence
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

PACKAGES = (
    "tensorflow",
    "tf-agents",
    "dm-reverb",
    "ai-edge-litert",
    "numpy",
    "gym",
    "gymnasium",
    "dm-control",
    "mujoco",
)

# Instructions that int8 and float matrix products use, as Linux names them on x86 and on arm64.
_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm", "sve")


def describe_machine(proc: pathlib.Path = pathlib.Path("/proc")) -> dict[str, Any]:
    """The machine as plain JSON values: cpu, cores that this process may use, flags, memory_bytes, system.

    Args:
      proc: where Linux describes itself; what it doesn't say is ''.
    """
    cpu = _fields(proc / "cpuinfo")
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "memory_bytes": memory_bytes(proc),
        "system": platform.platform(),
    }


def memory_bytes(proc: pathlib.Path = pathlib.Path("/proc")) -> int:
    """The machine's memory; 0 where the system doesn't say.

    Args:
      proc: where Linux describes itself.
    """
    return int(_fields(proc / "meminfo").get("MemTotal", "0 kB").split()[0]) * 1024


def package_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The installed version of each package, and of Python; packages that are not installed are left out."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_commit(environment: Mapping[str, str] = os.environ) -> str | None:
    """The commit of the source tree, with '-dirty' behind it where files differ; None where git doesn't know."""
    source = environment.get("BUILD_WORKSPACE_DIRECTORY") or str(pathlib.Path(__file__).resolve().parents[2])
    command = ["git", "-C", source, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _fields(path: pathlib.Path) -> dict[str, str]:
    """The first value of each 'key : value' line."""
    try:
        text = path.read_text()
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields
