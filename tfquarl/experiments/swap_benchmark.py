"""Swaps: how long a collector's steps are held up while newer policies come, ten a second."""

from collections.abc import Callable
import dataclasses
import multiprocessing.context
import threading
import time
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import records
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import collector_arm
from tfquarl.experiments import deadline_signal
from tfquarl.experiments import observed_collector
from tfquarl.experiments import worker as worker_lib
from tfquarl.metrics import statistics
from tfquarl.metrics import table
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import replay_server

_INTERVAL_SEC = 0.1
_MANY_STEPS = 1 << 40


class SwapRecorder:
    """Notes how long each swap took that changed the policy, and when each environment step began."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Has noted nothing yet.

        Args:
          clock: seconds, for tests.
        """
        self._clock = clock
        self.swap_sec: list[float] = []
        self._step_began: list[float] = []

    @property
    def step_sec(self) -> np.ndarray:
        """Seconds from the start of each environment step to that of the next one [steps - 1]."""
        return np.diff(self._step_began)

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, observed if it belongs to the environment or the swaps."""
        clock = self._clock

        def swap() -> bool:
            start = clock()
            changed = function()
            if changed:
                self.swap_sec.append(clock() - start)
            return changed

        def step(*args: Any) -> Any:
            self._step_began.append(clock())
            return function(*args)

        return {"swap": swap, "environment": step}.get(part, function)


class Collector:
    """A collector that takes every policy that is published."""

    def __init__(
        self, experiment: experiment_lib.Experiment, spec: environment_spec.EnvironmentSpec, address: str
    ) -> None:
        """Connects to the Reverb server at `address`."""
        from tfquarl.program import transport as transport_lib

        transport = transport_lib.ReverbTransport(experiment, spec, address, collector_arm.KEY, threading.Event())
        self._recorder = SwapRecorder()
        self._loop, self._slot = observed_collector.make(experiment, spec, transport, self._recorder.wrap)

    def collect(self, duration_sec: float) -> dict[str, list[float]]:
        """Works for a while; seconds of swaps and of steps, by 'swap' and 'step'."""
        with self._slot:
            self._loop.run(_MANY_STEPS, deadline_signal.DeadlineSignal(time.perf_counter() + duration_sec))
        return {"swap": self._recorder.swap_sec, "step": self._recorder.step_sec.tolist()}


class Publisher:
    """Publishes one policy again and again, each time as a newer version."""

    def __init__(
        self,
        experiment: experiment_lib.Experiment,
        spec: environment_spec.EnvironmentSpec,
        address: str,
        artifact: records.PolicyArtifact,
    ) -> None:
        """Connects to the Reverb server at `address`, and publishes the first version."""
        from tfquarl.program import transport as transport_lib

        transport = transport_lib.ReverbTransport(experiment, spec, address, collector_arm.KEY, threading.Event())
        self._sink, self._artifact = transport.policy_sink(), artifact
        self._sink.publish(artifact)

    def publish(self, duration_sec: float) -> int:
        """Publishes for a while; the number of versions."""
        end, waiting, count = time.perf_counter() + duration_sec, threading.Event(), 0
        while time.perf_counter() < end:
            self._artifact = dataclasses.replace(self._artifact, version=self._artifact.version + 1)
            self._sink.publish(self._artifact)
            count += 1
            waiting.wait(_INTERVAL_SEC)
        return count


def measure(
    task: benchmark_task.BenchmarkTask,
    artifact: records.PolicyArtifact,
    context: multiprocessing.context.ForkServerContext,
    cores: worker_lib.Cores,
    duration_sec: float,
) -> list[table.BenchmarkRow]:
    """The rows of one task and recipe.

    Args:
      task: that the collector works on.
      artifact: what is published.
      context: that processes come from.
      cores: that they may use.
      duration_sec: with policies coming, and again without.
    """
    experiment = task.experiment()
    with (
        replay_server.ReplayServer(context, experiment, task.spec, cores=cores.beside) as server,
        worker_lib.Worker(
            context, cores.beside, Publisher, experiment, task.spec, server.address, artifact
        ) as publisher,
        worker_lib.Worker(context, cores.measured, Collector, experiment, task.spec, server.address) as collector,
    ):
        publisher.wait_until_ready()
        collector.call("collect", duration_sec / 4)  # takes the first version, and warms up
        quiet = collector.call("collect", duration_sec)
        collector.begin("collect", duration_sec)
        publisher.call("publish", duration_sec)
        busy = collector.finish()
    return make_rows(f"{task.label} {artifact.recipe}", quiet, busy)


def make_rows(case: str, quiet: dict[str, list[float]], busy: dict[str, list[float]]) -> list[table.BenchmarkRow]:
    """Rows of what `Collector.collect` gave without and with new policies coming."""
    swaps_ms = [1e3 * sec for sec in busy["swap"][len(quiet["swap"]) :]]
    rows = [table.BenchmarkRow(case, "policies swapped in", len(swaps_ms), "")]
    if swaps_ms:
        rows.append(table.BenchmarkRow(case, "swap, 99 % are shorter", statistics.percentile(swaps_ms, 99), "ms"))
        rows.append(table.BenchmarkRow(case, "swap, longest", max(swaps_ms), "ms"))
    for state, steps in (
        ("while none comes", quiet["step"]),
        ("while policies come", busy["step"][len(quiet["step"]) :]),
    ):
        for percent in (99.0, 99.9):
            value = 1e3 * statistics.percentile(steps, percent)
            rows.append(table.BenchmarkRow(case, f"step {state}, {percent:g} % are shorter", value, "ms"))
    return rows
