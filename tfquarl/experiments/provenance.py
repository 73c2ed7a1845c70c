"""What runs were made with and on, in words: each machine, package, commit and meter of energy once, whatever the number of runs."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

_Versions = Mapping[str, Any]


def machines(versions: Iterable[_Versions]) -> str:
    """'2 cores (AMD EPYC, avx2, fma)', and further machines behind 'and'.

    Args:
      versions: versions.json of each run.
    """
    return " and ".join(dict.fromkeys(_machine(one["machine"]) for one in versions))


def packages(versions: Iterable[_Versions]) -> str:
    """'python 3.11.7, numpy 1.26.4 or 1.26.3': by each package's name the versions that runs had."""
    found: dict[str, dict[str, None]] = {}
    for one in versions:
        for name, version in one["packages"].items():
            found.setdefault(name, {})[version] = None
    return ", ".join(f"{name} {' or '.join(numbers)}" for name, numbers in found.items())


def commits(versions: Iterable[_Versions]) -> str:
    """'1a2b, 3c4d'; 'unknown' for that of a source that was no repository."""
    return ", ".join(sorted({one["commit"] or "unknown" for one in versions}))


def meter(energy: Mapping[str, Any]) -> str:
    """How a run's joules were found: two runs whose text is the same can be compared.

    Args:
      energy: of its summary.json.
    """
    if energy["watts_per_core"] is None:
        return "measured by RAPL"
    return f"an estimate: CPU time at {energy['watts_per_core']:g} W per busy core, idle share {energy['idle_share']:g}"


def meters(energies: Sequence[Mapping[str, Any]]) -> str:
    """'an estimate: ..., carbon at 480 g per kWh (WORLD)', and further ones behind 'or'."""
    kinds = dict.fromkeys(map(meter, energies))
    carbon = dict.fromkeys(f"{energy['grid_g_per_kwh']:g} g per kWh ({energy['region']})" for energy in energies)
    return f"{' or '.join(kinds)}; carbon at {' or '.join(carbon)}"


def _machine(machine: Mapping[str, Any]) -> str:
    cores = machine["cores"]
    return f"{cores} {'core' if cores == 1 else 'cores'} ({', '.join([machine['cpu'], *machine['flags']])})"
