"""One architecture and recipe, converted by both paths in one process."""

import dataclasses
import os
import time
import tracemalloc

import numpy as np

from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import records
from tfquarl.experiments import benchmark_task
from tfquarl.quantization import recipe as recipe_lib


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One snapshot by both paths.

    Attributes:
      fast_sec: wall time of the fast path.
      reference_sec: wall time of the reference path.
      fast_cpu_sec: processor time of the fast path, which other work on the machine hardly touches.
      reference_cpu_sec: processor time of the reference path.
      is_equal: whether both gave the same bytes.
    """

    fast_sec: float
    reference_sec: float
    fast_cpu_sec: float
    reference_cpu_sec: float
    is_equal: bool


class ConversionArm:
    """Converts one random snapshot after the other."""

    def __init__(self, task: benchmark_task.BenchmarkTask, recipe: str, num_observations: int) -> None:
        """Collects the observations.

        Args:
          task: with the policy's size.
          recipe: name of the recipe.
          num_observations: of the calibration.
        """
        self._architecture = task.architecture()
        self._recipe = recipe_lib.from_name(recipe)
        self._observations = benchmark_task.collect_observations(task.name, num_observations)
        self._reference = reference_process.ReferenceProcess()
        self._converter = policy_converter.PolicyConverter(self._architecture, self._recipe, True, self._reference)

    def prepare(self) -> float:
        """Compiles the template, from nothing; seconds."""
        start = time.perf_counter()
        self._converter.prepare()
        self._reference.close()
        return time.perf_counter() - start

    def warm_up(self) -> None:
        """Lets both paths do once what they do only once."""
        self.convert_by_both(0)

    def convert_by_both(self, seed: int) -> Comparison:
        """Converts one snapshot by the fast path, then by the reference path.

        Args:
          seed: of the snapshot's weights.
        """
        from tfquarl.converter import reference_path  # TensorFlow; in this process, so that no transport counts

        snapshot = self._snapshot(seed)
        times = [_clocks()]
        model = self._converter.convert(snapshot, self._observations)
        times.append(_clocks())
        expected = reference_path.convert(
            self._architecture, self._recipe, snapshot.variables, self._observations, True
        )
        times.append(_clocks())
        (fast_sec, fast_cpu_sec), (reference_sec, reference_cpu_sec) = np.diff(times, axis=0).tolist()
        return Comparison(fast_sec, reference_sec, fast_cpu_sec, reference_cpu_sec, model == expected)

    def extra_memory(self) -> float:
        """Most memory that a conversion holds besides its arguments, as a multiple of the float model; before TensorFlow is here."""
        snapshot = self._snapshot(0)
        tracemalloc.start()
        self._converter.convert(snapshot, self._observations)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / sum(value.nbytes for value in snapshot.variables.values())

    def num_cores(self) -> int:
        """Processor cores that the process may use."""
        return len(os.sched_getaffinity(0))

    def _snapshot(self, seed: int) -> records.PolicySnapshot:
        """Random weights with a scaling of observations as a learner's statistics give it."""
        snapshot = benchmark_task.make_snapshot(self._architecture, seed)
        mean, deviation = self._observations.mean(axis=0), self._observations.std(axis=0)
        snapshot.variables["observation_scaling/offset"][:] = mean
        snapshot.variables["observation_scaling/scale"][:] = 1 / np.maximum(deviation, np.float32(0.01))
        return snapshot


def _clocks() -> tuple[float, float]:
    """Wall time and this process's processor time, seconds."""
    return time.perf_counter(), time.process_time()
