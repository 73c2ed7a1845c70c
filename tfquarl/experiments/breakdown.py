"""Where the time of a collector's step goes: the same loop over timed parts, apart from the runs that speeds come from."""

from collections.abc import Callable
import time
from typing import TYPE_CHECKING
from typing import Any

from tfquarl.core import environment_spec
from tfquarl.experiments import deadline_signal
from tfquarl.experiments import observed_collector
from tfquarl.program import experiment as experiment_lib

if TYPE_CHECKING:
    from tfquarl.program import transport as transport_lib

PARTS = ("environment", "inference", "exploration", "write", "observation tap", "swap", "rest")
_WARM_UP_SEC = 0.3
_NUM_CALIBRATION_CALLS = 20_000
_MANY_STEPS = 1 << 40


class PartTimer:
    """Adds up the time of functions by the part that they belong to, less what the timing itself costs."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Measures what timing one call costs.

        Args:
          clock: seconds, for tests.
        """
        self._clock = clock
        self._sec: dict[str, float] = {}
        self._calls: dict[str, int] = {}
        timed = self.timed("nothing", _nothing)
        start = clock()
        for _ in range(_NUM_CALIBRATION_CALLS):
            timed()
        whole_sec = (clock() - start) / _NUM_CALIBRATION_CALLS
        self._inside_sec = self._sec["nothing"] / _NUM_CALIBRATION_CALLS
        self._outside_sec = max(0.0, whole_sec - self._inside_sec)
        self.reset()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted under `part`."""
        clock, sec, calls = self._clock, self._sec, self._calls
        sec.setdefault(part, 0.0)
        calls.setdefault(part, 0)

        def call(*args: Any) -> Any:
            start = clock()
            result = function(*args)
            sec[part] += clock() - start
            calls[part] += 1
            return result

        return call

    def reset(self) -> None:
        """Forgets all times."""
        for part in self._sec:
            self._sec[part], self._calls[part] = 0.0, 0

    def breakdown_us(self, elapsed_sec: float, count: int) -> dict[str, float]:
        """Microseconds per count by part, in the order of `PARTS`; 'rest' is what `elapsed_sec` has beyond all parts."""
        net = {part: self._sec.get(part, 0.0) - self._calls.get(part, 0) * self._inside_sec for part in PARTS}
        overhead_sec = sum(self._calls.values()) * self._outside_sec
        net["rest"] = elapsed_sec - overhead_sec - sum(self._sec.values())
        return {part: max(0.0, 1e6 * sec / count) for part, sec in net.items()}


def measure(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    transport: "transport_lib.Transport",
    duration_sec: float,
) -> dict[str, float]:
    """Microseconds per environment step by part.

    Args:
      experiment: of the collector.
      spec: of its environment.
      transport: gives the policy, and takes transitions and observations.
      duration_sec: of the measurement.
    """
    timer = PartTimer()
    loop, slot = observed_collector.make(experiment, spec, transport, timer.timed)
    slot.poll_now()
    with slot:
        loop.run(_MANY_STEPS, deadline_signal.DeadlineSignal(time.perf_counter() + _WARM_UP_SEC))
        timer.reset()
        start = time.perf_counter()
        count = loop.run(_MANY_STEPS, deadline_signal.DeadlineSignal(start + duration_sec))
        return timer.breakdown_us(time.perf_counter() - start, count)


def _nothing() -> None:
    pass
