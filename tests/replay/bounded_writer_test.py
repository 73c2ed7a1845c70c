"""Tests of tfquarl.replay.bounded_writer: a process whose server is dead goes on, and ends."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import reverb

from tests.replay import conftest
from tfquarl.core import errors
from tfquarl.replay import bounded_writer
from tfquarl.replay import server_calls
from tfquarl.replay import tables

ROW = np.zeros(conftest.LAYOUT.row_size, np.float32)

_WRITE_TO_A_DEAD_SERVER = """
import sys
import numpy as np
import reverb
from tfquarl.replay import bounded_writer
from tfquarl.replay import tables
client = reverb.Client(sys.argv[1])
writers = [bounded_writer.make_item_writer(client, tables.EXPERIENCE) for _ in range(2)]
bounded = [bounded_writer.BoundedWriter(client, writer, deadline_sec=1.0) for writer in writers]
for writer in writers:
    writer.append(np.zeros(7, np.float32))
print([end.wait() for end in bounded], flush=True)
sys.stdin.readline()
for writer in writers:
    for _ in range(30):
        writer.append(np.zeros(7, np.float32))
# One is closed in vain, the other not at all.
print(bounded[0].close(timeout_sec=0.2), flush=True)
"""


def test_unsent_items_do_not_hold_up_the_end_of_the_process(server_process: conftest.ServerProcess):
    command = [sys.executable, "-c", _WRITE_TO_A_DEAD_SERVER, server_process.address]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == "[True, True]\n"
            server_process.kill()
            output, _ = process.communicate("\n", timeout=30)
        finally:
            process.kill()
    assert output == "False\n" and process.returncode == 0


def test_close_tells_that_all_has_arrived(server_process: conftest.ServerProcess):
    client = reverb.Client(server_process.address)
    writer = bounded_writer.make_item_writer(client, tables.EXPERIENCE)
    bounded = bounded_writer.BoundedWriter(client, writer, deadline_sec=20.0)
    writer.append(ROW)
    assert bounded.close(timeout_sec=20.0) is True
    assert server_calls.server_info(client, 5)[tables.EXPERIENCE].current_size == 1


def test_waits(server_process: Any):
    client = reverb.Client(server_process.address)
    writer = bounded_writer.make_item_writer(client, tables.EXPERIENCE, priority=2.0)
    bounded = bounded_writer.BoundedWriter(client, writer, deadline_sec=0.5)
    writer.append(ROW)
    assert bounded.wait() and bounded.try_wait(0, 0.1)
    assert server_calls.server_info(client, 5)[tables.EXPERIENCE].current_size == 1
    server_process.kill()
    for _ in range(3):
        writer.append(ROW)
    assert bounded.wait(num_pending=3)
    assert not bounded.try_wait(0, 0.1)
    with pytest.raises(errors.RemoteTimeoutError, match=r"no answer within 0.5 s"):
        bounded.wait()
    assert not bounded.close(timeout_sec=0.1)
