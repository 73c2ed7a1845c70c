"""An arm64 Python with an arm64 TFLite runtime, run on this machine by qemu-user: fetched from package registries when asked for.

Nothing is installed: packages are unpacked into a cache directory, which needs no root. The wheels are pinned by hash; Debian's
packages are those of the machine's own suite, whose index apt checks by signature.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile

from tfquarl.runtime import trial

# ai-edge-litert 2.3.0 for arm64 ends by a segmentation fault under qemu-user 7.2; 1.4.0 has the same XNNPACK kernels for policies.
REQUIREMENTS = """\
ai-edge-litert==1.4.0 --hash=sha256:131d1c12dedc0c45aa683106d71ea895117c2332b0efb52712965f8b5e63781d
numpy==1.26.4 --hash=sha256:7ab55401287bfec946ced39700c053796e7cc0e3acbef09993a9ad2adba6ca6e
"""
DEBIAN_PACKAGES = ("python3.11", "libstdc++6", "libgcc-s1", "zlib1g")
QEMU_PACKAGE = "qemu-user-static"
QEMU = "qemu-aarch64-static"
PYTHON = "usr/bin/python3.11"
CPU = "cortex-a72"
TIMEOUT_SEC = 300.0

_PLATFORMS = ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_27_aarch64")


class UnavailableError(Exception):
    """The arm64 runtime can't be had here, with the reason."""


def location(cache: pathlib.Path | None = None) -> pathlib.Path:
    """Where the arm64 system is, or will be once it is fetched; `cache` as of `runtimes`."""
    return (cache or pathlib.Path.home() / ".cache" / "tfquarl") / f"arm64-{_pins_digest()}"


def runtimes(cache: pathlib.Path | None = None) -> list[trial.Runtime]:
    """The arm64 runtimes, fetched where they are not in the cache yet (about 60 MB, half a minute).

    Args:
      cache: where they are kept; by default ~/.cache/tfquarl.

    Raises:
      UnavailableError: no Debian, no network, another Python in the suite, ...
    """
    if platform.machine() == "aarch64":
        raise UnavailableError("this machine is arm64 itself; the other runtimes ran on it")
    root = location(cache)
    if not root.is_dir():
        _fetch(root)
    qemu = shutil.which(QEMU) or str(root / "qemu" / "usr" / "bin" / QEMU)
    command = (qemu, "-cpu", CPU, "-L", str(root / "system"), str(root / "system" / PYTHON))
    environment = {"PYTHONPATH": str(root / "wheels"), "PYTHONDONTWRITEBYTECODE": "1"}
    return [
        trial.Runtime("ai-edge-litert", kernels, command, environment, f"arm64 ({CPU}, qemu-user)")
        for kernels in ("xnnpack", "builtin")
    ]


def _fetch(root: pathlib.Path) -> None:
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise UnavailableError(f"{program} is missing: the arm64 system comes from Debian's packages")
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".arm64.", dir=root.parent) as name:
            temporary = pathlib.Path(name)
            new = temporary / "new"
            _fetch_debian(temporary / "apt", "arm64", DEBIAN_PACKAGES, new / "system")
            if shutil.which(QEMU) is None:
                _fetch_debian(
                    temporary / "apt_qemu", _host_architecture(), (QEMU_PACKAGE,), new / "qemu", with_needs=False
                )
            _fetch_wheels(temporary / "pip", new / "wheels")
            with contextlib.suppress(FileExistsError):
                new.rename(root)  # another process may have been faster
    except OSError as error:
        raise UnavailableError(f"{root.parent}: {error.strerror or error}") from error


def _fetch_debian(
    work: pathlib.Path, architecture: str, packages: Sequence[str], target: pathlib.Path, with_needs: bool = True
) -> None:
    """Unpacks Debian packages, with what they need, by an apt that knows nothing of this machine's packages."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (work / part).mkdir(parents=True)
    (work / "status").touch()
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "Dir::State": str(work / "state"),
        "Dir::State::status": str(work / "status"),
        "Dir::Cache": str(work / "cache"),
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "",
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    archives = work / "cache" / "archives"
    _execute(["apt-get", "-qq", *settings, "update"], work)
    if with_needs:
        wanted = ["-y", "--no-install-recommends", "--download-only", "install", *packages]
        _execute(["apt-get", "-qq", *settings, *wanted], work)
    else:
        _execute(["apt-get", "-qq", *settings, "download", *packages], archives)
    target.mkdir(parents=True)
    for package in sorted(archives.glob("*.deb")):
        _execute(["dpkg-deb", "-x", str(package), str(target)], work)


def _fetch_wheels(work: pathlib.Path, target: pathlib.Path) -> None:
    work.mkdir()
    target.mkdir()
    requirements = work / "requirements.txt"
    requirements.write_text(REQUIREMENTS)
    platforms = [part for name in _PLATFORMS for part in ("--platform", name)]
    options = ["--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--require-hashes", "--dest", str(work)]
    _execute([*_pip(), "download", "--quiet", *platforms, *options, "--requirement", str(requirements)], work)
    for wheel in work.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)


def _pip() -> list[str]:
    has_pip = subprocess.run([sys.executable, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    if has_pip:
        return [sys.executable, "-m", "pip"]
    path = shutil.which("pip") or shutil.which("pip3")
    if path is None:
        raise UnavailableError("pip is missing: the arm64 runtime is a wheel")
    return [path]


def _host_architecture() -> str:
    return _execute(["dpkg", "--print-architecture"], pathlib.Path.cwd()).strip()


def _execute(command: Sequence[str], directory: pathlib.Path) -> str:
    environment: Mapping[str, str] = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SEC,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("W")]
        reason = next((line for line in said if line.startswith(("E:", "ERROR:"))), (said or ["no word"])[-1])
        raise UnavailableError(f"{pathlib.Path(command[0]).name} failed: {reason.strip()}")
    return done.stdout


def _pins_digest() -> str:
    text = "\n".join((REQUIREMENTS, *DEBIAN_PACKAGES, QEMU_PACKAGE))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
