"""How much energy a run took, process by process, and the carbon that stands for.

Where the processor counts its energy (RAPL) and the counters may be read, those are used: they cover the whole package, other
programs and idling too. Else energy is an estimate, labelled so: CPU time of the run's processes times stated watts per core.
"""

from collections.abc import Callable
import dataclasses
import pathlib
import time
from typing import Any

import psutil

_JOULES_PER_KWH = 3.6e6
_COUNTED_SUBDOMAINS = ("dram",)  # the others (core, uncore) are part of the package already

RAPL = "rapl"
ESTIMATED = "estimated"


@dataclasses.dataclass(frozen=True)
class EnergyConfig:
    """What the energy figures assume.

    Attributes:
      watts_per_core: power of one busy core with its share of the package and the memory; used where RAPL can't be read. A
        package's rated power over its number of cores is between 4 (large servers) and 15 (laptops and desktops).
      grid_g_per_kwh: grams of CO2 equivalent per kWh of electricity; 480 is the world's mean of 2023 (Ember).
      powercap: where Linux keeps the RAPL counters.
    """

    watts_per_core: float = 10.0
    grid_g_per_kwh: float = 480.0
    powercap: str = "/sys/class/powercap"

    def __post_init__(self) -> None:
        if self.watts_per_core <= 0 or self.grid_g_per_kwh < 0:
            raise ValueError(
                f"watts_per_core must be positive and grid_g_per_kwh not negative, got {self.watts_per_core}, {self.grid_g_per_kwh}"
            )


@dataclasses.dataclass(frozen=True)
class EnergyReport:
    """Energy since the meter was made.

    Attributes:
      source: 'rapl' (measured, whole package) or 'estimated' (CPU time times watts per core).
      joules: of the run.
      carbon_g: grams of CO2 equivalent.
      joules_by_process: the same, split by CPU time.
      cpu_sec_by_process: CPU time, user and system.
      wall_sec: how long it took.
      watts_per_core: what an estimate assumed; None for 'rapl'.
      grid_g_per_kwh: what the carbon assumes.
    """

    source: str
    joules: float
    carbon_g: float
    joules_by_process: dict[str, float]
    cpu_sec_by_process: dict[str, float]
    wall_sec: float
    watts_per_core: float | None
    grid_g_per_kwh: float

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return dataclasses.asdict(self)


class EnergyMeter:
    """Adds up the energy of a run's processes.

    meter = EnergyMeter(EnergyConfig())
    meter.watch('learner', pid)
    ...
    meter.sample()  # every few seconds, and before a process is waited for: what it used after the last sample is lost
    ...
    meter.report()
    """

    def __init__(
        self,
        config: EnergyConfig,
        cpu_time: Callable[[int], float | None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begins to measure.

        Args:
          config: what is assumed.
          cpu_time: CPU seconds of a process id so far, None once it has gone; psutil's if None.
          clock: seconds, never going back.
        """
        self._config = config
        self._cpu_time = cpu_time or _ProcessTimes()
        self._clock, self._start_sec = clock, clock()
        self._names: dict[int, str] = {}
        self._cpu_sec: dict[int, float] = {}
        self._counters = [counter for counter in _find_counters(pathlib.Path(config.powercap)) if counter.is_readable()]
        self._rapl_joules = 0.0

    def watch(self, name: str, pid: int) -> None:
        """Counts the process `pid`, from its start on, under `name`; several may share one."""
        self._names[pid] = name
        self._cpu_sec.setdefault(pid, 0.0)

    def sample(self) -> None:
        """Reads all counters; RAPL's begin anew after some minutes of full load."""
        for pid in self._names:
            cpu_sec = self._cpu_time(pid)
            if cpu_sec is not None:
                self._cpu_sec[pid] = max(self._cpu_sec[pid], cpu_sec)
        self._rapl_joules += sum(counter.joules_since_last() for counter in self._counters)

    def report(self) -> EnergyReport:
        """The energy until now."""
        self.sample()
        cpu_sec: dict[str, float] = {}
        for pid, name in self._names.items():
            cpu_sec[name] = cpu_sec.get(name, 0.0) + self._cpu_sec[pid]
        whole_cpu_sec = sum(cpu_sec.values())
        is_measured = bool(self._counters)
        joules = self._rapl_joules if is_measured else whole_cpu_sec * self._config.watts_per_core
        per_cpu_sec = joules / whole_cpu_sec if whole_cpu_sec else 0.0
        return EnergyReport(
            source=RAPL if is_measured else ESTIMATED,
            joules=joules,
            carbon_g=joules / _JOULES_PER_KWH * self._config.grid_g_per_kwh,
            joules_by_process={name: seconds * per_cpu_sec for name, seconds in cpu_sec.items()},
            cpu_sec_by_process=cpu_sec,
            wall_sec=self._clock() - self._start_sec,
            watts_per_core=None if is_measured else self._config.watts_per_core,
            grid_g_per_kwh=self._config.grid_g_per_kwh,
        )


class _ProcessTimes:
    """CPU seconds by process id; an id that the system gives to another process later is not mistaken for it."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}

    def __call__(self, pid: int) -> float | None:
        try:
            process = self._processes.get(pid) or self._processes.setdefault(pid, psutil.Process(pid))
            if not process.is_running():
                return None
            times = process.cpu_times()
        except psutil.Error:
            return None
        return times.user + times.system


class _Counter:
    """One RAPL counter, in microjoules, which begins anew after its range."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._last: int | None = None

    def is_readable(self) -> bool:
        """Whether it can be read; often root alone may. Begins to count."""
        self._last = self._read("energy_uj")
        return self._last is not None and self._read("max_energy_range_uj") is not None

    def joules_since_last(self) -> float:
        """Joules since it was last asked; 0 where it can't be read any more."""
        now, last, span = self._read("energy_uj"), self._last, self._read("max_energy_range_uj")
        if now is None or last is None or span is None:
            return 0.0
        self._last = now
        return (now - last if now >= last else now - last + span) / 1e6

    def _read(self, name: str) -> int | None:
        try:
            return int((self._directory / name).read_text())
        except (OSError, ValueError):
            return None


def _find_counters(powercap: pathlib.Path) -> list[_Counter]:
    """The counters that add up to the machine: each package, and its memory where that is counted apart."""
    counters = []
    for directory in sorted(powercap.glob("intel-rapl:*")):
        name = _domain_name(directory)
        is_package = directory.name.count(":") == 1 and name.startswith("package")
        if is_package or name in _COUNTED_SUBDOMAINS:
            counters.append(_Counter(directory))
    return counters


def _domain_name(directory: pathlib.Path) -> str:
    try:
        return (directory / "name").read_text().strip()
    except OSError:
        return ""
