"""A repository with the project's Python: a virtualenv of requirements.txt.

The virtualenv is registered as the Python 3 toolchain, by its path. So each
py_binary and py_test sees all of requirements.txt, and none of it has to be
linked into a runfiles tree (TensorFlow alone has tens of thousands of files).
The virtualenv's name holds a digest of what it was made from, so that a change
to requirements.txt changes the path and with it every cached test result.
"""

_PROBE = """
import sys
import ensurepip, venv
print("%d.%d" % sys.version_info[:2])
"""

_DIGEST = """
import hashlib, sys
lock = open(sys.argv[1], "rb").read()
print(hashlib.sha256(sys.version.encode() + lock).hexdigest()[:12])
"""

# The blocks of the lock that build the packages which come as source only (gym).
_BACKEND = """
import re, sys
lock = open(sys.argv[1]).read()
blocks = re.findall(r"^(?:setuptools|wheel)==.*?(?=^[^ ]|\\Z)", lock, re.MULTILINE | re.DOTALL)
open(sys.argv[2], "w").write("".join(blocks))
"""

_PIP_ENVIRONMENT = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}

_BUILD = """
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

package(default_visibility = ["//visibility:public"])

py_runtime(
    name = "py3_runtime",
    interpreter_path = "{python}",
    python_version = "PY3",
    stub_shebang = "#!{python}",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":py3_runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _installed_python(ctx):
    """The interpreter of the wanted version that the machine has, or None; and what was tried, for an error message."""
    version = ctx.attr.python_version
    asked = ctx.os.environ.get("TFQUARL_PYTHON", "")
    names = [asked] if asked else [
        "python" + version,
        "python3",
        "/usr/local/bin/python" + version,
        "/usr/bin/python" + version,
    ]
    tried = []
    for name in names:
        path = ctx.path(name) if name.startswith("/") else ctx.which(name)
        if path == None or not path.exists:
            tried.append("  %s: not found" % name)
            continue
        result = ctx.execute([path, "-c", _PROBE])
        found = result.stdout.strip()
        if result.return_code == 0 and found == version:
            return path, tried
        tried.append("  %s: %s" % (path, found or result.stderr.strip().split("\n")[-1]))
    return None, tried

def _uv(ctx):
    """The uv on PATH, or one of the hashed build_defs/uv.txt; None, and why, where neither can be had."""
    installed = ctx.which("uv")
    if installed:
        return installed, ""
    python3 = ctx.which("python3")
    if python3 == None:
        return None, "no uv and no python3"
    venv = ctx.path("uv")
    result = ctx.execute([python3, "-m", "venv", venv])
    if result.return_code == 0:
        pip = [str(venv) + "/bin/python", "-m", "pip", "install", "--no-input", "--quiet", "--require-hashes", "--no-deps"]
        result = ctx.execute(pip + ["--requirement", ctx.path(ctx.attr.uv)], environment = _PIP_ENVIRONMENT)
    if result.return_code != 0:
        return None, "uv could not be installed: " + (result.stderr or result.stdout).strip()[-1000:]
    return ctx.path("uv/bin/uv"), ""

def _downloaded_python(ctx):
    """An interpreter of the wanted version that uv fetches into this repository; None, and why, where it can't."""
    uv, problem = _uv(ctx)
    if uv == None:
        return None, problem
    version = ctx.attr.python_version
    ctx.report_progress("fetching Python %s with uv: this machine has none" % version)
    environment = {"UV_PYTHON_INSTALL_DIR": str(ctx.path("cpython"))}
    result = ctx.execute([uv, "python", "install", "--no-bin", version], environment = environment, timeout = 1200)
    if result.return_code == 0:
        result = ctx.execute([uv, "python", "find", "--managed-python", version], environment = environment)
    if result.return_code != 0:
        return None, "uv python install %s: %s" % (version, result.stderr.strip()[-1000:])
    return ctx.path(result.stdout.strip()), ""

def _find_python(ctx):
    version = ctx.attr.python_version
    path, tried = _installed_python(ctx)
    if path:
        return path
    if ctx.os.environ.get("TFQUARL_PYTHON", ""):
        problem = "TFQUARL_PYTHON names one, so no other is fetched"
    else:
        path, problem = _downloaded_python(ctx)
    if path:
        return path
    fail("\n".join([
        "No Python %s with the modules venv and ensurepip. Tried:" % version,
    ] + tried + [
        "  " + problem,
        "On Debian 12 or Ubuntu 22.04: apt-get install python%s python%s-venv" % (version, version),
        "Or name one, for all commands, in the file .bazelrc.user:",
        "  build --repo_env=TFQUARL_PYTHON=/path/to/python%s" % version,
    ]))

def _run(ctx, what, arguments, **kwargs):
    result = ctx.execute(arguments, **kwargs)
    if result.return_code != 0:
        fail("%s failed:\n%s\n%s" % (what, result.stdout[-4000:], result.stderr[-4000:]))
    return result.stdout.strip()

def _pip_install(ctx, python, lock):
    """Installs what the lock names, and nothing that it does not: no resolver, no unlocked build requirements."""
    options = ["--require-hashes", "--no-deps", "--no-build-isolation", "--no-compile"]
    _run(
        ctx,
        "pip install",
        [python, "-m", "pip", "install", "--no-input", "--quiet"] + options + ["--requirement", lock],
        environment = _PIP_ENVIRONMENT,
        timeout = 3600,
    )

def _python_env_impl(ctx):
    requirements = ctx.path(ctx.attr.requirements)
    base = _find_python(ctx)
    digest = _run(ctx, "Reading " + str(requirements), [base, "-c", _DIGEST, requirements])
    venv = ctx.path("venv-" + digest)
    ctx.report_progress("making a virtualenv")
    _run(ctx, "python -m venv", [base, "-m", "venv", venv])
    python = str(venv) + "/bin/python"
    backend = ctx.path("build_backend.txt")
    _run(ctx, "Reading " + str(requirements), [base, "-c", _BACKEND, requirements, backend])
    ctx.report_progress("installing requirements.txt (a minute or two, the first time)")
    for lock in [backend, requirements]:
        _pip_install(ctx, python, lock)

    # A sandboxed test cannot write bytecode: without this each would compile TensorFlow again. A few packages ship
    # files that do not compile, hence no look at the exit code.
    ctx.report_progress("compiling bytecode")
    ctx.execute([python, "-m", "compileall", "-q", "-q", "-j", "0", str(venv) + "/lib"], timeout = 3600)
    ctx.file("BUILD", _BUILD.format(python = python))

python_env = repository_rule(
    implementation = _python_env_impl,
    attrs = {
        "python_version": attr.string(mandatory = True),
        "requirements": attr.label(mandatory = True, allow_single_file = True),
        "uv": attr.label(mandatory = True, allow_single_file = True),
    },
    environ = ["TFQUARL_PYTHON"],
)
