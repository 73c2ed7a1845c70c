"""Grams of CO2 equivalent per kWh of electricity by country, as codecarbon's offline data has them."""

from collections.abc import Mapping
import difflib
import functools
import importlib.metadata
import importlib.util
import json
import pathlib

from tfquarl.core import errors

_PACKAGE = "codecarbon"
_FILE = pathlib.Path("data", "private_infra", "global_energy_mix.json")


@functools.cache
def by_country() -> Mapping[str, float]:
    """Grams per kWh by the country's ISO code of three letters.

    Its file is read without importing codecarbon: that takes more than a second, and every run asks for the one figure.
    """
    package = importlib.util.find_spec(_PACKAGE)
    assert package is not None and package.submodule_search_locations  # a locked dependency
    mix = json.loads(pathlib.Path(package.submodule_search_locations[0], _FILE).read_text())
    return {code: country["carbon_intensity"] for code, country in mix.items() if country.get("carbon_intensity")}


def of_country(code: str) -> float:
    """Grams per kWh of one country.

    Raises:
      ConfigError: no country of that code is known.
    """
    known = by_country()
    if code not in known:
        close = ", ".join(difflib.get_close_matches(code.upper(), known, n=3, cutoff=0.5))
        hint = f"; did you mean {close}?" if close else "."
        raise errors.ConfigError(
            f"region is '{code}', which is neither in EnergyConfig.grid_g_per_kwh nor one of codecarbon's {len(known)} countries (ISO codes of"
            f" three letters){hint} To use a figure of your own, put the region into grid_g_per_kwh with its grams per kWh"
        )
    return known[code]


def source() -> str:
    """Where the figures are from, in words."""
    return f"codecarbon {importlib.metadata.version(_PACKAGE)}, offline data"
