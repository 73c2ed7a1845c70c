"""Tests of tfquarl/experiments/process_usage.py."""

import os
import pathlib

import pytest

from tfquarl.experiments import process_usage

_ROLLUP = """\
00400000-7ffd4a7e9000 ---p 00000000 00:00 0                              [rollup]
Rss:                9000 kB
Pss:                5000 kB
Pss_Dirty:          3000 kB
Shared_Clean:       4000 kB
Private_Clean:       100 kB
Private_Dirty:       900 kB
"""


def test_memory_by_the_kernel_s_own_account(tmp_path: pathlib.Path):
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "smaps_rollup").write_text(_ROLLUP)
    assert process_usage.memory(42, tmp_path) == process_usage.Memory(5000 * 1024, 1000 * 1024)


def test_processor_time_of_a_process_with_a_strange_name(tmp_path: pathlib.Path):
    (tmp_path / "42").mkdir()
    fields = ["S", *["0"] * 10, "150", "50", *["0"] * 30]
    (tmp_path / "42" / "stat").write_text(f"42 (a ) b) {' '.join(fields)}\n")
    assert process_usage.cpu_sec(42, tmp_path) == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))


def test_this_process_has_used_something():
    own = process_usage.memory(os.getpid())
    assert 0 < own.private_bytes <= own.proportional_bytes
    assert process_usage.proportional_bytes([os.getpid(), os.getpid()]) > own.proportional_bytes
    assert process_usage.cpu_sec(os.getpid()) > 0
