"""Tests of `tfquarl.metrics.grid_intensity`."""

from codecarbon.core import emissions
from codecarbon.core import units
from codecarbon.external import geography
from codecarbon.input import DataSource
import pytest

from tfquarl.core import errors
from tfquarl.metrics import energy
from tfquarl.metrics import grid_intensity

_ONE_KWH = units.Energy.from_energy(kWh=1.0)


def test_every_country_has_what_codecarbon_itself_says():
    own = emissions.Emissions(DataSource())
    known = grid_intensity.by_country()
    assert len(known) > 200
    for code, grams in known.items():
        kilograms = own.get_private_infra_emissions(_ONE_KWH, geography.GeoMetadata(code, code))
        assert grams == pytest.approx(1000 * kilograms), code


@pytest.mark.parametrize(
    ("region", "own", "grams", "source"),
    [
        ("DEU", {}, 380.95, "codecarbon 3.2.7, offline data"),
        ("DEU", {"DEU": 12.0}, 12.0, "the plant's"),
        ("ROOF", {"ROOF": 41.0}, 41.0, "the plant's"),
    ],
    ids=["a_country", "a_country_with_a_figure_of_ones_own", "a_region_of_ones_own"],
)
def test_own_figures_go_before_those_of_countries(region, own, grams, source):
    config = energy.EnergyConfig(region=region, grid_g_per_kwh=own, grid_source="the plant's")
    assert (config.g_per_kwh, config.g_source) == (pytest.approx(grams), source)


@pytest.mark.parametrize(
    ("code", "hint"),
    [("deu", "did you mean .*DEU"), ("GERMANY", r"three letters\)\. To use a figure of your own, put the region into")],
)
def test_an_unknown_country_is_refused_with_the_remedy(code, hint):
    with pytest.raises(errors.ConfigError, match=f"region is '{code}', which is neither .* {hint}"):
        grid_intensity.of_country(code)
