"""One architecture and recipe, converted by both paths and as TensorFlow's guide has it, in one process."""

import dataclasses
import time
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np

from tfquarl.converter import policy_converter
from tfquarl.converter import preparation
from tfquarl.converter import reference_process
from tfquarl.core import records
from tfquarl.experiments import benchmark_task
from tfquarl.quantization import recipe as recipe_lib

if TYPE_CHECKING:
    from tfquarl.experiments import keras_conversion


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One snapshot by each way.

    Attributes:
      fast_sec: wall time of the fast path.
      reference_sec: wall time of the reference path.
      fast_cpu_sec: processor time of the fast path, which other work on the machine hardly touches.
      reference_cpu_sec: processor time of the reference path.
      is_equal: whether both gave the same bytes.
      keras_sec: wall time of TFLiteConverter.from_keras_model.
      keras_cpu_sec: processor time of it.
      is_keras_equal: whether its dense layers hold the fast path's numbers.
      preparation_sec: wall time that the variables' preparation took before: scaled observations, equalized layers, corrected biases.
    """

    fast_sec: float
    reference_sec: float
    fast_cpu_sec: float
    reference_cpu_sec: float
    is_equal: bool
    keras_sec: float
    keras_cpu_sec: float
    is_keras_equal: bool
    preparation_sec: float


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
        self._keras: keras_conversion.KerasConversion | None = None

    def prepare(self) -> float:
        """Compiles the template, from nothing; seconds."""
        start = time.perf_counter()
        self._converter.prepare()
        self._reference.close()
        return time.perf_counter() - start

    def warm_up(self) -> None:
        """Lets each way do once what it does only once."""
        from tfquarl.experiments import keras_conversion  # TensorFlow

        self._keras = keras_conversion.KerasConversion(self._architecture, self._recipe, self._observations)
        self.convert_by_all(0)

    def convert_by_all(self, seed: int) -> Comparison:
        """Converts one snapshot by the fast path, by the reference path, then by TFLiteConverter.from_keras_model; after `warm_up`.

        Args:
          seed: of the snapshot's weights.
        """
        from tfquarl.converter import reference_path  # TensorFlow; in this process, so that no transport counts
        from tfquarl.experiments import keras_conversion

        assert self._keras is not None, "warm_up comes first"
        trained = self._snapshot(seed)
        preparing = time.perf_counter()
        snapshot = preparation.prepare(self._architecture, trained, self._observations, preparation.NAMES).rounded
        preparation_sec = time.perf_counter() - preparing
        self._keras.load(snapshot)
        times = [_clocks()]
        model = self._converter.convert(snapshot, self._observations)
        times.append(_clocks())
        expected = reference_path.convert(
            self._architecture, self._recipe, snapshot.variables, self._observations, True
        )
        times.append(_clocks())
        by_keras = self._keras.convert()
        times.append(_clocks())
        fast, reference, keras = np.diff(times, axis=0).tolist()
        is_keras_equal = keras_conversion.has_same_constants(model, by_keras)
        return Comparison(
            fast[0],
            reference[0],
            fast[1],
            reference[1],
            model == expected,
            keras[0],
            keras[1],
            is_keras_equal,
            preparation_sec,
        )

    def extra_memory(self) -> float:
        """Most memory that a conversion holds besides its arguments, as a multiple of the float model; before TensorFlow is here."""
        snapshot = self._snapshot(0)
        tracemalloc.start()
        self._converter.convert(snapshot, self._observations)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / sum(value.nbytes for value in snapshot.variables.values())

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
