"""Follows the energy of a run's processes, for metrics and for the summary."""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import os
import pathlib
from typing import Any

from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.metrics import codecarbon_tracker
from tfquarl.metrics import energy
from tfquarl.metrics import names
from tfquarl.program import process_monitor

_SAMPLE_SEC = 1.0
_FIRST_REPORT_SEC = 1.0
_REPORT_SEC = 10.0


class EnergyMonitor:
    """Looks at the processes every second, and writes a row of metrics at the first look and then after 1, 2, 4, 8 and every 10 seconds.

    A run that is killed goes on from its newest row, so that at most the half of a short one is lost.

    Args:
      config: what the figures assume.
      directory: of the run; where codecarbon leaves its file, if it is to run too.
      metrics: where the rows go, in group 'energy'.
      elapsed_sec: for how long the run has been going, which is the rows' step.
      meter: adds up; None makes one.
    """

    def __init__(
        self,
        config: energy.EnergyConfig,
        directory: pathlib.Path,
        metrics: interfaces.MetricsSink,
        elapsed_sec: Callable[[], float],
        meter: energy.EnergyMeter | None = None,
    ) -> None:
        self._metrics = metrics
        self._elapsed_sec = elapsed_sec
        self._meter = meter or energy.EnergyMeter(config)
        self._tracker: codecarbon_tracker.CodecarbonTracker | None = None
        if config.use_codecarbon:
            self._tracker = codecarbon_tracker.CodecarbonTracker(config, self._meter.is_measured, directory)
        self._next_sample_sec = 0.0
        self._next_report_sec, self._report_sec = 0.0, _FIRST_REPORT_SEC

    def begin(self, earlier: Mapping[str, float]) -> None:
        """Goes on from the newest row that the run had before it was resumed; from nothing where `earlier` is empty.

        codecarbon begins here, if it is to run, and sees this part of the run alone.
        """
        prefix = f"{names.ROLE_CPU_SEC}_"
        cpu_sec = {name.removeprefix(prefix): value for name, value in earlier.items() if name.startswith(prefix)}
        if cpu_sec:
            self._meter.add_earlier(cpu_sec, earlier[names.ENERGY_JOULES], self._elapsed_sec())
        if self._tracker is not None:
            self._tracker.start()

    def sample_if_due(self, processes: process_monitor.Processes | None = None) -> None:
        """Takes in what the processes have used if the last look is old enough.

        Args:
          processes: the nodes; None where there is no process but this one.
        """
        now_sec = self._elapsed_sec()
        if now_sec < self._next_sample_sec:
            return
        self._next_sample_sec = now_sec + _SAMPLE_SEC
        others = {} if processes is None else {**processes.pids(), **processes.helpers()}
        self._meter.sample({process_monitor.LAUNCHER: os.getpid(), **others})
        if now_sec >= self._next_report_sec:
            self._next_report_sec = now_sec + self._report_sec
            self._report_sec = min(2 * self._report_sec, _REPORT_SEC)
            self._write()

    def summary(self, env_steps: int) -> dict[str, Any]:
        """The energy of the whole run as plain JSON values, also per environment step; the last look and row are these.

        A row that can't be written is left out, as the summary tells the same. Where codecarbon runs too, 'codecarbon' has what it measured; it ends here.

        Args:
          env_steps: of the run; 0 gives None per step.
        """
        self._next_sample_sec = 0.0
        with contextlib.suppress(errors.StorageError):
            self.sample_if_due()
            self._write()
        report = self._meter.report()
        per_step = report.joules / env_steps if env_steps else None
        codecarbon = {} if self._tracker is None else {"codecarbon": self._tracker.stop()}
        return {**report.to_json(), "joules_per_env_step": per_step, **codecarbon}

    def _write(self) -> None:
        report = self._meter.report()
        values = {names.ENERGY_JOULES: report.joules, names.CARBON_KG: report.kg_co2e}
        values.update({f"{names.ENERGY_JOULES}_{role}": joules for role, joules in report.joules_by_role.items()})
        values.update({f"{names.ROLE_CPU_SEC}_{role}": seconds for role, seconds in report.cpu_sec_by_role.items()})
        self._metrics.write(names.ENERGY, int(self._elapsed_sec()), values)
