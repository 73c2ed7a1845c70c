"""Trials of a model on other runtimes than the one that is loaded here: the parent's side of `trial_main`."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

TIMEOUT_SEC = 300.0

_NOISE = re.compile(r"^(INFO|WARNING|[IW]\d{4}|\d{4}-)|^\s*$")


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A TFLite implementation, with the kernels it is to use.

    Attributes:
      package: 'ai-edge-litert', 'tensorflow' or 'tflite-micro'.
      kernels: 'xnnpack' or 'builtin'; 'reference' for TensorFlow Lite Micro, which has no others on this machine.
      command: what runs Python there.
      environment: variables that differ from this process's.
      machine: processor that it runs on, for the name.
    """

    package: str
    kernels: str
    command: tuple[str, ...] = (sys.executable,)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    machine: str = os.uname().machine

    @property
    def name(self) -> str:
        """E.g. 'tensorflow builtin x86_64'."""
        return f"{self.package} {self.kernels} {self.machine}"


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of a trial.

    Attributes:
      runtime: its name.
      version: of its package; empty if it never told.
      outputs: [N, O] in the model's type; None where there are none.
      refusal: why there are none; empty where there are.
      arena_bytes: that TensorFlow Lite Micro needs on this machine's 64 bits; None for other runtimes.
    """

    runtime: str
    version: str
    outputs: np.ndarray | None
    refusal: str = ""
    arena_bytes: int | None = None


def run(runtime: Runtime, model: bytes, inputs: np.ndarray) -> Trial:
    """Runs `model` on `inputs` [N, D], in the model's type, one after another; never raises for what the runtime does."""
    with tempfile.TemporaryDirectory(prefix="tfquarl_trial_") as directory:
        model_file, inputs_file, outputs_file = (
            pathlib.Path(directory) / name for name in ("model.tflite", "inputs.npy", "outputs.npy")
        )
        model_file.write_bytes(model)
        np.save(inputs_file, inputs)
        files = [str(path) for path in (model_file, inputs_file, outputs_file)]
        try:
            done = _execute(runtime, [runtime.package, runtime.kernels, *files])
        except (OSError, subprocess.TimeoutExpired) as error:
            return Trial(runtime.name, "", None, f"could not be run: {error}")
        report = _report(done.stdout)
        version, refusal = str(report.get("version", "")), str(report.get("refused", ""))
        if done.returncode == 0 and not refusal:
            arena = report.get("arena_bytes")
            return Trial(runtime.name, version, np.load(outputs_file), "", int(str(arena)) if arena else None)
        said = [line for line in done.stderr.splitlines() if not _NOISE.match(line)]
        reason = said[0] if refusal and said else (said or [f"no word, exit code {done.returncode}"])[-1]
        return Trial(runtime.name, version, None, f"{refusal}: {reason}" if refusal else f"ended by {reason}")


def _execute(runtime: Runtime, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    root = str(pathlib.Path(__file__).absolute().parents[2])
    paths = [root, *filter(None, [runtime.environment.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))])]
    environment = {
        **os.environ,
        **runtime.environment,
        "PYTHONPATH": os.pathsep.join(paths),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    return subprocess.run(
        [*runtime.command, "-m", "tfquarl.runtime.trial_main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SEC,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _report(stdout: str) -> dict[str, object]:
    try:
        return dict(json.loads(stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        return {}
