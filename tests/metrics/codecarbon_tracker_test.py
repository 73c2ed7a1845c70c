"""Tests of `tfquarl.metrics.codecarbon_tracker` with the real codecarbon."""

import csv
import subprocess
import sys

from codecarbon.external import hardware
import pytest

from tfquarl.metrics import codecarbon_tracker
from tfquarl.metrics import energy

_BUSY_SEC = 3.0
_BUSY = f"""
import time
input()
while time.process_time() < {_BUSY_SEC}: pass
print("done", flush=True)
input()
"""


def test_what_a_child_process_draws_is_measured(tmp_path):
    """A child is busy for 3 s at 10 W. codecarbon looks at it every second."""
    config = energy.EnergyConfig(region="DEU", watts_per_core=10.0, powercap="/nowhere")
    tracker = codecarbon_tracker.CodecarbonTracker(config, False, tmp_path)
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        tracker.start()
        assert tracker.has_begun.wait(60)
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"done\n"
        measured = tracker.stop()
        child.communicate(b"\n")

    assert measured is not None
    # About 30: it leaves out a process's first and last moments, and counts itself. There is no upper bound: it takes the mean of all looks,
    # and one that comes a moment after another may find a whole tick of 10 ms in it.
    assert measured["joules"] > 5
    (cpu,) = (part for part in tracker._tracker._hardware if isinstance(part, hardware.CPU))
    assert cpu._tdp / cpu._cpu_count == 10.0  # of a busy core
    assert measured["kg_co2e"] == pytest.approx(measured["joules"] / 3.6e6 * 0.38095)
    (row,) = csv.DictReader((tmp_path / codecarbon_tracker.EMISSIONS_FILE).read_text().splitlines())
    assert (row["tracking_mode"], row["country_iso_code"]) == ("process", "DEU")
    assert float(row["energy_consumed"]) * 3.6e6 == pytest.approx(measured["joules"])


def test_a_region_of_ones_own_is_no_country_to_codecarbon(tmp_path):
    tracker = codecarbon_tracker.CodecarbonTracker(energy.EnergyConfig(powercap="/nowhere"), False, tmp_path)
    tracker.start()
    measured = tracker.stop()
    assert measured is not None
    assert measured["kg_co2e"] == pytest.approx(measured["joules"] / 3.6e6 * 0.48)
