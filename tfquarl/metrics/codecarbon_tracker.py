"""codecarbon's own tracker over a run, offline and in its process mode, beside this project's meter."""

import importlib.metadata
import logging
import os
import pathlib
import threading
from typing import Any

from tfquarl.metrics import energy

EMISSIONS_FILE = "emissions.csv"
"""What codecarbon leaves in the run directory: a row for each time the run was started."""

_JOULES_PER_KWH = 3.6e6
_MEASURE_SEC = 5.0  # it looks at the processes every second whatever this is, and takes the mean


class CodecarbonTracker:
    """Measures this process and all that it has started, by codecarbon; begins in the background, as importing it takes a second.

    It assumes what the meter assumes: RAPL (package and memory) where that can be read, else `watts_per_core`; the same grams per kWh.
    The two differ in how they look: codecarbon leaves out what a process used before its first sample and after its last, and
    knows no idle cores.

    tracker = CodecarbonTracker(config, is_measured=False, directory=run_dir)
    tracker.start()
    ...
    tracker.stop()

    Attributes:
      has_begun: set once codecarbon looks.
    """

    def __init__(self, config: energy.EnergyConfig, is_measured: bool, directory: str | os.PathLike[str]) -> None:
        """Nothing happens yet.

        Args:
          config: what is assumed.
          is_measured: whether RAPL can be read.
          directory: where emissions.csv goes.
        """
        self.has_begun = threading.Event()
        self._config, self._is_measured, self._directory = config, is_measured, pathlib.Path(directory)
        self._thread = threading.Thread(target=self._begin, name="codecarbon", daemon=True)
        self._tracker: Any = None

    def start(self) -> None:
        """Begins to measure as soon as codecarbon has been imported."""
        self._thread.start()

    def stop(self) -> dict[str, Any] | None:
        """What it measured, as plain JSON values; emissions.csv is written by then.

        Returns:
          'joules', 'kg_co2e', 'wall_sec' (of the part that it saw) and 'version' of codecarbon; None where it could not begin.
        """
        self._thread.join()
        if self._tracker is None:
            return None
        self._tracker.stop()
        data = self._tracker.final_emissions_data
        return {
            "joules": data.energy_consumed * _JOULES_PER_KWH,
            "kg_co2e": data.emissions,
            "wall_sec": data.duration,
            "version": importlib.metadata.version("codecarbon"),
        }

    def _begin(self) -> None:
        from codecarbon import OfflineEmissionsTracker
        from codecarbon.core.util import count_cpus

        # It would write over the display before it has taken log_level in.
        logging.getLogger("codecarbon").setLevel(logging.ERROR)
        power: dict[str, Any] = {"rapl_include_dram": True}
        if not self._is_measured:  # by its rule a busy core draws this over the number of cores
            power = {"force_cpu_power": self._config.watts_per_core * count_cpus(), "force_mode_cpu_load": True}
        self._tracker = OfflineEmissionsTracker(
            project_name="tfquarl",
            tracking_mode="process",
            measure_power_secs=_MEASURE_SEC,
            output_dir=str(self._directory),
            output_file=EMISSIONS_FILE,
            # Offline, whatever a .codecarbon.config of the user says: no figure leaves the machine.
            save_to_api=False,
            save_to_prometheus=False,
            save_to_logfire=False,
            emissions_endpoint=None,
            log_level="error",
            country_iso_code=self._config.region if self._config.is_country else None,
            force_carbon_intensity_g_co2e_kwh=self._config.g_per_kwh,
            force_ram_power=0,  # the memory's share is in the cores' watts, or in RAPL's own counter
            **power,
        )
        self._tracker.start()
        self.has_begun.set()
