"""The speed at which one core reads memory: the limit of a policy whose weights are each used once per inference."""

from collections.abc import Callable
import time

import numpy as np

from tfquarl.experiments import alternation

_TRIALS = 5


class MemoryReader:
    """Reads a buffer again and again; an `alternation.Arm` that counts whole readings."""

    def __init__(self, num_bytes: int) -> None:
        """Takes the fastest of a few ways to read.

        Args:
          num_bytes: of the buffer, 64 or more; rounded to a multiple of 64.
        """
        size = -(-num_bytes // 64) * 64
        # One cache line more than needed, so that the buffer can begin where a line does.
        room = np.ones(size + 64, np.uint8)
        start = -room.ctypes.data % 64
        self._buffer = room[start : start + size]
        self._read = min(self._ways(), key=_fastest_sec)

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`."""
        read = self._read
        start, cpu, count = time.perf_counter(), time.process_time(), 0
        while True:
            for _ in range(4):
                read()
            count += 4
            elapsed = time.perf_counter() - start
            if elapsed >= duration_sec:
                return alternation.Slice(count, elapsed, time.process_time() - cpu)

    def _ways(self) -> list[Callable[[], object]]:
        single, double, whole = (self._buffer.view(dtype) for dtype in (np.float32, np.float64, np.uint64))
        return [lambda: single.dot(single), lambda: double.dot(double), whole.sum]


def _fastest_sec(function: Callable[[], object]) -> float:
    durations = []
    for _ in range(_TRIALS):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return min(durations)
