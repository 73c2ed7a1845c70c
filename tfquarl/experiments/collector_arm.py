"""This project's collector, put together as in a run: same parts, a real Reverb server, the thread that looks for policies."""

import threading
import time
from typing import TYPE_CHECKING

from tfquarl.core import environment_spec
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.experiments import alternation
from tfquarl.experiments import breakdown as breakdown_lib
from tfquarl.experiments import deadline_signal
from tfquarl.experiments import observed_collector
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import stations

if TYPE_CHECKING:
    from tfquarl.program import transport as transport_lib

# Of a benchmark's publications, which nobody forges.
KEY = b"0123456789abcdef"
_MANY_STEPS = 1 << 40


class FirstOf:
    """An artifact source that gives one artifact, and from then on asks another source, as a collector's does."""

    def __init__(self, first: records.PolicyArtifact, then: interfaces.ArtifactSource) -> None:
        """Stores both; what `then` holds already is passed over."""
        self._first: records.PolicyArtifact | None = first
        self._then = then
        then.poll()

    def poll(self) -> records.PolicyArtifact | None:
        """As `interfaces.ArtifactSource`."""
        first, self._first = self._first, None
        return first or self._then.poll()


class CollectorArm:
    """A collector that works for a while when it is told to; an `alternation.Arm` that counts environment steps."""

    def __init__(
        self,
        experiment: experiment_lib.Experiment,
        spec: environment_spec.EnvironmentSpec,
        transport: "transport_lib.Transport",
    ) -> None:
        """Makes the collector, which takes the policy that is there.

        Args:
          experiment: tells its parts.
          spec: of the environment.
          transport: to the Reverb server.
        """
        self._experiment, self._spec, self._transport = experiment, spec, transport
        self._loop, self._slot = stations.make_collector(experiment, spec, transport, observed_collector.NoMetrics(), 0)
        self._slot.poll_now()

    def run(self, duration_sec: float) -> alternation.Slice:
        """As `alternation.Arm`."""
        with self._slot:
            start, cpu = time.perf_counter(), time.process_time()
            count = self._loop.run(_MANY_STEPS, deadline_signal.DeadlineSignal(start + duration_sec))
            return alternation.Slice(count, time.perf_counter() - start, time.process_time() - cpu)

    def breakdown(self, duration_sec: float) -> dict[str, float]:
        """Microseconds per environment step by part, of another collector whose parts are timed."""
        return breakdown_lib.measure(self._experiment, self._spec, self._transport, duration_sec)


def make(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    address: str,
    artifact: records.PolicyArtifact,
) -> CollectorArm:
    """A collector that acts by `artifact`, whatever the server at `address` has; imports Reverb."""
    from tfquarl.program import transport as transport_lib

    class PinnedTransport(transport_lib.ReverbTransport):
        """Gives each policy slot the one artifact first."""

        def policy_source(self) -> interfaces.ArtifactSource:
            """As `Transport`."""
            return FirstOf(artifact, super().policy_source())

    return CollectorArm(experiment, spec, PinnedTransport(experiment, spec, address, KEY, threading.Event()))
