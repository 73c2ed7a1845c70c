"""The train program as a process of its own, and every process that it starts."""

from collections.abc import Callable
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from typing import Any
import uuid

import psutil

SMALL = (
    "DqnBuilder.hidden_sizes = (16,)",
    "CollectorConfig.initial_collect_steps = 64",
    "CollectorConfig.report_interval_sec = 0.2",
    "ReplayConfig.min_size_to_sample = 64",
    "ReplayConfig.samples_per_insert = 8.0",
    "LearnerConfig.batch_size = 16",
    "LearnerConfig.steps_per_call = 4",
    "LearnerConfig.snapshot_interval_steps = 20",
    "LearnerConfig.metrics_period_sec = 0.2",
    "EvaluatorConfig.num_episodes = 2",
    "EvaluatorConfig.num_confirm_episodes = 3",
    "Experiment.stop_at_return = None",
)
"""Bindings that make the shipped CartPole experiment a matter of seconds."""

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"
_MARK = "TFQUARL_TEST_RUN"
_PATIENCE_SEC = 240  # of a machine that is busy with other things
_POLL_SEC = 0.05


class TrainProcess:
    """`tools.train` on the small experiment, in a process group of its own.

    Args:
      run_dir: for --root_dir; must not exist.
      bindings: besides `SMALL`; later ones win.
      gin_files: besides the experiment's.
      flags: besides these.
    """

    def __init__(
        self, run_dir: pathlib.Path, *bindings: str, gin_files: tuple[str, ...] = (), flags: tuple[str, ...] = ()
    ) -> None:
        self.run_dir = run_dir
        self._mark = uuid.uuid4().hex
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path]), _MARK: self._mark}
        arguments = [f"--gin_file={path}" for path in (_EXPERIMENT, *gin_files)]
        arguments += [f"--gin_bindings={binding}" for binding in (*SMALL, *bindings)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.train", *arguments, *flags, f"--root_dir={run_dir}"],
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stdout = self.stderr = ""

    @property
    def pid(self) -> int:
        """Of the program, and of its process group."""
        return self._process.pid

    def __enter__(self) -> "TrainProcess":
        return self

    def __exit__(self, *_: object) -> None:
        for process in (
            [*self.processes(), psutil.Process(self.pid)] if self._process.poll() is None else self.processes()
        ):
            process.kill()
        self._process.communicate()

    def finish(self) -> int:
        """Waits for its end; the exit code."""
        self.stdout, self.stderr = self._process.communicate(timeout=_PATIENCE_SEC)
        return self._process.returncode

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Waits until `condition` holds; the run must not end before."""
        deadline, never = time.monotonic() + _PATIENCE_SEC, threading.Event()
        while not condition():
            if self._process.poll() is not None:
                raise AssertionError(f"the run ended early: {self._process.communicate()}")
            if time.monotonic() > deadline:
                raise AssertionError("the run did not get there in time")
            never.wait(_POLL_SEC)

    def processes(self) -> list[psutil.Process]:
        """Every process that it has started, whoever their parents are now, and that still runs."""
        return [process for process in psutil.process_iter() if process.pid != self.pid and self._is_ours(process)]

    def node(self, name: str) -> psutil.Process:
        """The process of a node: the one that writes its log."""
        log = self.run_dir / "logs" / f"{name}.log"
        return next(
            process for process in self.processes() if os.path.realpath(f"/proc/{process.pid}/fd/1") == str(log)
        )

    def rows(self, group: str = "") -> list[dict[str, Any]]:
        """Rows of metrics.jsonl so far, of one group if it is given."""
        path = self.run_dir / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        return [row for row in rows if row["group"].startswith(group)]

    def summary(self) -> dict[str, Any]:
        """What summary.json holds."""
        return json.loads((self.run_dir / "summary.json").read_text())

    def checkpoints(self) -> list[str]:
        """Names of the checkpoints that are whole."""
        return sorted(path.stem for path in (self.run_dir / "checkpoints").glob("*.index"))

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(_MARK) == self._mark
        except psutil.Error:
            return False
