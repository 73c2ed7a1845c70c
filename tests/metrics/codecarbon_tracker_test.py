"""Tests of `tfquarl.metrics.codecarbon_tracker` with the real codecarbon."""

import csv
import subprocess
import sys

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
    assert 5 < measured["joules"] < 60  # about 30: it leaves out a process's first and last moments, and counts itself
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
