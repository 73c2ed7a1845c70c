"""Tests of tfquarl/metrics/process_usage.py."""

import os
import pathlib

import pytest

from tfquarl.metrics import process_usage

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
    assert process_usage.memory(42, tmp_path) == process_usage.Memory(9000 * 1024, 5000 * 1024, 900 * 1024)


def test_what_has_ended_has_no_memory(tmp_path: pathlib.Path):
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "smaps_rollup").write_text("")
    with pytest.raises(ProcessLookupError, match="process 42 has ended"):
        process_usage.memory(42, tmp_path)


def _write_stat(directory: pathlib.Path) -> None:
    """A file whose other fields are large, and no two alike: none of them is taken for one of these."""
    directory.mkdir()
    fields = [str(1_000_000 + index) for index in range(50)]
    fields[0] = "S"
    fields[11:15] = ["150", "50", "30", "10"]
    fields[17], fields[19] = "3", "900"
    (directory / "stat").write_text(f"42 (a ) b) {' '.join(fields)}\n")


def test_a_process_with_a_strange_name(tmp_path: pathlib.Path):
    _write_stat(tmp_path / "42")
    assert process_usage.cpu_sec(42, tmp_path) == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))
    assert process_usage.cpu_time(42, tmp_path).start == 900


def test_usage_counts_what_its_children_used(tmp_path: pathlib.Path):
    _write_stat(tmp_path / "42")
    (tmp_path / "42" / "smaps_rollup").write_text(_ROLLUP)
    for name in ("0", "1", "17"):
        (tmp_path / "42" / "fd" / name).mkdir(parents=True)
    usage = process_usage.usage(42, tmp_path)
    assert usage.cpu_sec == pytest.approx(240 / os.sysconf("SC_CLK_TCK"))
    assert (usage.open_files, usage.threads) == (3, 3)
    assert usage.memory.proportional_bytes == 5000 * 1024


def test_this_process_has_used_something():
    own = process_usage.usage(os.getpid())
    assert 0 < own.memory.private_bytes <= own.memory.proportional_bytes <= own.memory.resident_bytes
    assert own.cpu_sec > 0 and own.threads >= 1 and own.open_files >= 3
    assert process_usage.proportional_bytes([os.getpid(), os.getpid()]) > own.memory.proportional_bytes
    assert process_usage.cpu_time(os.getpid()).start == process_usage.cpu_time(os.getpid()).start > 0


def test_no_such_process():
    with pytest.raises(OSError):
        process_usage.usage(2**22 + 1)


def test_descendants_are_found_through_every_thread_and_stop_at_the_known(tmp_path: pathlib.Path):
    for parent, thread, children in [(1, 1, "2 "), (1, 9, "3 4 "), (3, 3, "5 6 "), (4, 4, "7 ")]:
        path = tmp_path / str(parent) / "task" / str(thread)
        path.mkdir(parents=True)
        (path / "children").write_text(children)
    assert sorted(process_usage.descendants(1, tmp_path)) == [2, 3, 4, 5, 6, 7]
    assert sorted(process_usage.descendants(1, tmp_path, without={3, 7})) == [2, 4]
    assert process_usage.descendants(8, tmp_path) == []
