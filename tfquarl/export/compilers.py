"""The generated C and C++ compiles without a warning, and its array is the model: checked by the compilers that are there."""

from collections.abc import Mapping
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any

from tfquarl.core import errors

_STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
_CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")

# The C++ ones compile policy_model_data.cc; all of them a program that uses the headers.
COMPILERS = {
    "g++": ("-std=c++11", *_STRICT),
    "gcc": ("-std=c99", *_STRICT),
    "arm-none-eabi-g++": ("-std=c++11", *_STRICT, *_CORTEX_M4),
    "arm-none-eabi-gcc": ("-std=c99", *_STRICT, *_CORTEX_M4),
}
TIMEOUT_SEC = 120.0

_USER = '#include "golden_vectors.h"\nint PolicyUser(void);\nint PolicyUser(void) {{ return {sizes}; }}\n'
_ARRAYS = ("observations", "inputs", "outputs", "values", "tolerance_steps")


def compile_sources(sources: Mapping[str, str], model: bytes) -> list[dict[str, Any]]:
    """Compiles policy_model_data.cc and the headers by each compiler of `COMPILERS` that is installed.

    Args:
      sources: texts by file name.
      model: what the array must hold.

    Returns:
      One row a compiler: 'compiler', 'version', 'status': 'passed' or 'absent'.

    Raises:
      ConversionError: a compiler complains, or the array differs.
    """
    return [_compile(compiler, options, sources, model) for compiler, options in COMPILERS.items()]


def _compile(compiler: str, options: tuple[str, ...], sources: Mapping[str, str], model: bytes) -> dict[str, Any]:
    path = shutil.which(compiler)
    if path is None:
        return {"compiler": compiler, "status": "absent"}
    with tempfile.TemporaryDirectory(prefix="tfquarl_compile_") as name:
        directory = pathlib.Path(name)
        for file_name in ("policy_model_data.h", "policy_model_data.cc", "golden_vectors.h"):
            (directory / file_name).write_text(sources[file_name])
        sizes = " + ".join(f"(int)sizeof(g_policy_golden_{array})" for array in (*_ARRAYS, "step"))
        sizes += " + (int)kPolicyGoldenMeanToleranceSteps"
        is_cpp = compiler.endswith("++")
        user = "user.cc" if is_cpp else "user.c"
        (directory / user).write_text(_USER.format(sizes=sizes))
        for source in (user, "policy_model_data.cc") if is_cpp else (user,):
            _execute([path, *options, "-Os", "-c", source], directory)
        if is_cpp and model not in (directory / "policy_model_data.o").read_bytes():
            raise errors.ConversionError(f"{compiler}: the compiled array is not the model's bytes")
        version = _execute([path, "-dumpfullversion"], directory).strip()
        return {"compiler": compiler, "version": version, "status": "passed"}


def _execute(command: list[str], directory: pathlib.Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SEC,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.ConversionError(f"{command[0]} could not be run: {error}") from error
    if done.returncode != 0:
        complaint = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        raise errors.ConversionError(f"{command[0]} does not compile the generated code: {complaint}")
    return done.stdout
