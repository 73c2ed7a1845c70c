"""How much energy a run took, process by process, and the carbon that stands for.

Where the processor counts its energy (RAPL) and the counters may be read, those are used: they cover the whole package, other
programs and idling too. Else energy is an estimate, labelled so: CPU time of the run's processes times stated watts per core.
"""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import os
import pathlib
import re
import time
from typing import Any

from tfquarl.core import errors
from tfquarl.metrics import grid_intensity
from tfquarl.metrics import process_usage

_JOULES_PER_KWH = 3.6e6
_COUNTED_SUBDOMAINS = ("dram",)  # the others (core, uncore) are part of the package already

RAPL = "rapl"
ESTIMATED = "estimated"
IDLE = "idle"

WORLD = "WORLD"
WORLD_G_PER_KWH = 480.0
WORLD_SOURCE = "Ember 2023, by Our World in Data"


@dataclasses.dataclass(frozen=True)
class EnergyConfig:
    """What the energy figures assume.

    Attributes:
      watts_per_core: power of one busy core with its share of the package and the memory; used where RAPL can't be read. A
        package's rated power over its number of cores is between 4 (large servers) and 15 (laptops and desktops).
      idle_share: share of `watts_per_core` that a core draws for as long as the run lasts, whether busy or not. 0 counts busy cores
        alone; used where RAPL can't be read.
      region: where the electricity comes from; a key of `grid_g_per_kwh`, or a country's ISO code of three letters.
      grid_g_per_kwh: grams of CO2 equivalent per kWh of electricity by region; a country that is not in it has codecarbon's figure.
      grid_source: where the grams of `grid_g_per_kwh` are from, in words, for summary.json.
      use_codecarbon: also run codecarbon's offline tracker over the run, in its process mode: emissions.csv in the run directory, and
        its joules beside these in summary.json.
      powercap: where Linux keeps the RAPL counters.
    """

    watts_per_core: float = 10.0
    idle_share: float = 0.0
    region: str = WORLD
    grid_g_per_kwh: Mapping[str, float] = dataclasses.field(default_factory=lambda: {WORLD: WORLD_G_PER_KWH})
    grid_source: str = WORLD_SOURCE
    use_codecarbon: bool = False
    powercap: str = "/sys/class/powercap"

    def __post_init__(self) -> None:
        if not self.watts_per_core > 0:
            raise errors.ConfigError(f"watts_per_core is {self.watts_per_core}, needs more than 0")
        if not 0 <= self.idle_share <= 1:
            raise errors.ConfigError(f"idle_share is {self.idle_share}, needs a value in [0, 1]")
        if self.g_per_kwh < 0:
            raise errors.ConfigError(f"grid_g_per_kwh of '{self.region}' is {self.g_per_kwh}, needs 0 or more")

    @property
    def is_country(self) -> bool:
        """Whether the region is a country with codecarbon's figure."""
        return self.region not in self.grid_g_per_kwh

    @property
    def g_per_kwh(self) -> float:
        """Grams of CO2 equivalent per kWh of the region."""
        return grid_intensity.of_country(self.region) if self.is_country else self.grid_g_per_kwh[self.region]

    @property
    def g_source(self) -> str:
        """Where that figure is from, in words."""
        return grid_intensity.source() if self.is_country else self.grid_source


@dataclasses.dataclass(frozen=True)
class EnergyReport:
    """Energy since the meter was made, and what was added of earlier.

    Attributes:
      source: 'rapl' (measured, whole package) or 'estimated' (CPU time times watts per core).
      joules: of the run.
      kg_co2e: kilograms of CO2 equivalent.
      joules_by_role: split by CPU time over 'learner', 'collector' (all of them together), ...; with 'idle' where that is estimated.
      cpu_sec_by_process: CPU time, user and system, with that of what the process has started; what was added of earlier is under
        its role.
      wall_sec: how long it took.
      watts_per_core: what an estimate assumed; None for 'rapl'.
      idle_share: likewise.
      region: what the carbon assumes.
      grid_g_per_kwh: of that region.
      grid_source: where that figure is from.
    """

    source: str
    joules: float
    kg_co2e: float
    joules_by_role: dict[str, float]
    cpu_sec_by_process: dict[str, float]
    wall_sec: float
    watts_per_core: float | None
    idle_share: float | None
    region: str
    grid_g_per_kwh: float
    grid_source: str

    @property
    def cpu_sec_by_role(self) -> dict[str, float]:
        """CPU time of 'learner', 'collector' (all of them together), ..."""
        return _by_role(self.cpu_sec_by_process)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return dataclasses.asdict(self)


class EnergyMeter:
    """Adds up the energy of a run's processes.

    meter = EnergyMeter(EnergyConfig())
    ...
    meter.sample({'learner': pid, 'collector_0': pid})  # every second: what a process used after its last sample is lost
    ...
    meter.report()
    """

    def __init__(
        self,
        config: EnergyConfig,
        cpu_time: Callable[[int], process_usage.CpuTime] = process_usage.cpu_time,
        clock: Callable[[], float] = time.perf_counter,
        cores: int | None = None,
    ) -> None:
        """Begins to measure.

        Args:
          config: what is assumed.
          cpu_time: of a process id so far; raises OSError once it has gone.
          clock: seconds, never going back.
          cores: that idle beside the run; those that this process may use if None.
        """
        self._config = config
        self._cpu_time = cpu_time
        self._clock, self._start_sec = clock, clock()
        self._cores = cores or len(os.sched_getaffinity(0))
        self._earlier_cpu_sec: dict[str, float] = {}
        self._cpu_sec: dict[tuple[int, int], float] = {}  # by process id and start: an id may come again
        self._names: dict[tuple[int, int], str] = {}
        self._counters = [counter for counter in _find_counters(pathlib.Path(config.powercap)) if counter.is_readable()]
        self._rapl_joules = 0.0

    @property
    def is_measured(self) -> bool:
        """Whether RAPL's counters can be read; else the energy is an estimate."""
        return bool(self._counters)

    def add_earlier(self, cpu_sec: Mapping[str, float], joules: float, wall_sec: float) -> None:
        """Counts what the run had used before it was resumed.

        Args:
          cpu_sec: CPU time by role.
          joules: as they were measured; an estimate is made anew from the CPU time.
          wall_sec: how long that took.
        """
        self._earlier_cpu_sec |= cpu_sec
        self._rapl_joules += joules
        self._start_sec -= wall_sec

    def sample(self, pids: Mapping[str, int]) -> None:
        """Reads all counters.

        Args:
          pids: of the processes that live, by their names; what they have started counts to them, unless it has a name itself. A name
            may come back with another process: both count. A process that gets a name later counts, with all that it has used, to that
            one alone.
        """
        named = set(pids.values())
        for name, pid in pids.items():
            self._count(pid, name, is_its_own=True)
            for part in process_usage.descendants(pid, without=named):
                self._count(part, name, is_its_own=False)
        self._rapl_joules += sum(counter.joules_since_last() for counter in self._counters)

    def _count(self, pid: int, name: str, is_its_own: bool) -> None:
        """Takes in what a process has used, under `name`; one of its own stays, one of who started it gives way to that."""
        with contextlib.suppress(OSError):  # it has ended, and what it used until its last sample stays
            time_now = self._cpu_time(pid)
            key = (pid, time_now.start)
            self._cpu_sec[key] = time_now.sec
            if is_its_own or key not in self._names:
                self._names[key] = name

    def report(self) -> EnergyReport:
        """The energy until the last sample."""
        cpu_sec = dict(self._earlier_cpu_sec)
        for key, seconds in self._cpu_sec.items():
            name = self._names[key]
            cpu_sec[name] = cpu_sec.get(name, 0.0) + seconds
        wall_sec = self._clock() - self._start_sec
        by_role = self._split_measured(cpu_sec) if self.is_measured else self._estimate(cpu_sec, wall_sec)
        joules = self._rapl_joules if self.is_measured else sum(by_role.values())
        config = self._config
        return EnergyReport(
            source=RAPL if self.is_measured else ESTIMATED,
            joules=joules,
            kg_co2e=joules / _JOULES_PER_KWH * config.g_per_kwh / 1000,
            joules_by_role=by_role,
            cpu_sec_by_process=cpu_sec,
            wall_sec=wall_sec,
            watts_per_core=None if self.is_measured else config.watts_per_core,
            idle_share=None if self.is_measured else config.idle_share,
            region=config.region,
            grid_g_per_kwh=config.g_per_kwh,
            grid_source=config.g_source,
        )

    def _estimate(self, cpu_sec: Mapping[str, float], wall_sec: float) -> dict[str, float]:
        """Idle power for the whole time, and what a busy core draws beyond it for the CPU time."""
        watts, idle_share = self._config.watts_per_core, self._config.idle_share
        joules = _by_role({name: seconds * watts * (1 - idle_share) for name, seconds in cpu_sec.items()})
        if idle_share:
            joules[IDLE] = wall_sec * self._cores * watts * idle_share
        return joules

    def _split_measured(self, cpu_sec: Mapping[str, float]) -> dict[str, float]:
        whole = sum(cpu_sec.values())
        joules_per_sec = self._rapl_joules / whole if whole else 0.0
        return _by_role({name: seconds * joules_per_sec for name, seconds in cpu_sec.items()})


def role_of(process: str) -> str:
    """What a process is: 'collector' for 'collector_2'."""
    return re.sub(r"_\d+$", "", process)


def _by_role(values: Mapping[str, float]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, value in values.items():
        sums[role_of(name)] = sums.get(role_of(name), 0.0) + value
    return sums


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
