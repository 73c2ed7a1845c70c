"""Tests of tfquarl.replay.transition_writer and bounded_writer, with real servers."""

from collections.abc import Callable
import threading
from typing import Any

import numpy as np
import pytest
import reverb

from tests.replay import conftest
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.replay import bounded_writer
from tfquarl.replay import replay_config
from tfquarl.replay import server_calls
from tfquarl.replay import tables
from tfquarl.replay import transition
from tfquarl.replay import transition_writer

LAYOUT = conftest.LAYOUT
Serve = Callable[[replay_config.ReplayConfig], reverb.Client]
OBSERVATION = np.float32([1, 2])


def size(client: reverb.Client) -> int:
    return server_calls.server_info(client, 10)[tables.EXPERIENCE].current_size


def rewards(client: reverb.Client, num_samples: int) -> set[float]:
    """Rewards of a sample that is all but sure to show each row."""
    return {float(item.value[0, LAYOUT.reward]) for item in server_calls.sample(client, tables.EXPERIENCE, num_samples)}


def add(sink: interfaces.TransitionSink, num_steps: int, first_reward: float = 0) -> None:
    for i in range(num_steps):
        sink.add(0, first_reward + i, OBSERVATION, False, False)


def test_rows_arrive_as_they_are(serve: Serve):
    config = replay_config.ReplayConfig(min_size_to_sample=1, initial_priority=3.0)
    client = serve(config)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, discount=0.5, n_step=2)
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    sink.add(1, 4.0, np.float32([3, 4]), False, False)
    sink.add(0, 8.0, np.float32([5, 6]), True, False)
    assert writer.flush() and writer.num_rows == 2
    items = server_calls.sample(client, tables.EXPERIENCE, 40)
    rows = {tuple(item.value[0].tolist()) for item in items}
    assert rows == {(1, 2, 1, 8, 0, 5, 6), (3, 4, 0, 8, 0, 5, 6)}
    assert {item.priority for item in items} == {3.0}
    assert items[0].value.dtype == np.float32
    writer.close()


def test_environments_keep_their_windows_apart(serve: Serve):
    config = replay_config.ReplayConfig(min_size_to_sample=1)
    client = serve(config)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, discount=1.0, n_step=2)
    sinks = writer.sinks(2)
    for sink in sinks:
        sink.start(OBSERVATION)
    for reward in (1.0, 2.0):
        for k, sink in enumerate(sinks):
            sink.add(0, 10**k * reward, OBSERVATION, False, False)
    assert writer.flush()
    assert rewards(client, 40) == {3.0, 30.0}
    writer.close()


def test_more_rows_than_may_be_in_flight(serve: Serve):
    config = replay_config.ReplayConfig(max_in_flight=4)
    client = serve(config)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, discount=1.0)
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    add(sink, 101)
    assert writer.flush() and size(client) == 101
    writer.close()


@pytest.mark.parametrize(
    ("num_steps", "items"),
    [
        pytest.param(6, {(0, 1, 2), (3, 4, 5)}, id="whole items"),
        pytest.param(5, {(0, 1, 2), (3, 4, 3)}, id="the last one is filled up with its own rows"),
        pytest.param(1, {(0, 0, 0)}, id="a single row"),
    ],
)
def test_rows_travel_together(serve: Serve, num_steps: int, items: set[tuple[float, ...]]):
    config = replay_config.ReplayConfig(min_size_to_sample=1, rows_per_item=3, max_in_flight=6)
    client = serve(config)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, discount=1.0)
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    add(sink, num_steps)
    assert writer.flush() and size(client) == len(items) and writer.num_rows == num_steps
    found = server_calls.sample(client, tables.EXPERIENCE, 40)
    assert {tuple(item.value[:, LAYOUT.reward].tolist()) for item in found} == items
    writer.close()


def test_a_fast_collectors_bursts_grow_and_a_slow_ones_shrink(serve: Serve):
    config = replay_config.ReplayConfig(rows_per_item=2, max_in_flight=16)
    client = serve(config)
    now = 0.0
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, discount=1.0, clock=lambda: now)
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    rows = []
    for step_sec in [0.001] * 22 + [0.1] * 12:
        now += step_sec
        add(sink, 1)
        rows.append(writer.num_rows)
    # Bursts of 1, 2, 4 and 4 items fit into 22 steps, each in less than 25 ms; the slow ones end in single items.
    assert rows[:22] == [0, 2, 2, 2, 2, 6] + [6] * 7 + [14] * 8 + [22]
    assert rows[22:] == [22] * 7 + [30] * 4 + [34]
    writer.close()


def wait_until_held_back(client: reverb.Client) -> None:
    """Until the replay has all that the rate limiter lets in before the first sample: 8, and the buffer's 2."""
    for _ in range(400):
        if size(client) == 10:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the replay did not fill within 20 s")


def start_blocked_writer(
    serve: Serve, stop: threading.Event
) -> tuple[reverb.Client, transition_writer.TransitionWriter, threading.Thread, list[BaseException]]:
    """A thread that adds 100 steps to a replay that takes about 10 of them before the learner samples."""
    config = replay_config.ReplayConfig(min_size_to_sample=8, samples_per_insert=1.0, error_buffer=2.0, max_in_flight=4)
    client = serve(config)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, 1.0, stop)
    failures: list[BaseException] = []

    def collect() -> None:
        try:
            sink = writer.sinks(1)[0]
            sink.start(OBSERVATION)
            for i in range(100):
                if stop.is_set():
                    return
                sink.add(0, float(i), OBSERVATION, False, False)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=collect)
    thread.start()
    wait_until_held_back(client)
    return client, writer, thread, failures


def test_rate_limiter_holds_back_until_the_learner_samples(serve: Serve):
    client, writer, thread, failures = start_blocked_writer(serve, threading.Event())
    assert thread.is_alive() and size(client) == 10
    server_calls.sample(client, tables.EXPERIENCE, 92)
    thread.join(20)
    assert not thread.is_alive() and not failures
    assert writer.flush() and size(client) == 100
    assert writer.blocked_sec > 0
    writer.close()


def test_stop_signal_ends_a_blocked_write(serve: Serve):
    stop = threading.Event()
    _, writer, thread, failures = start_blocked_writer(serve, stop)
    assert thread.is_alive()
    stop.set()
    thread.join(5)
    assert not thread.is_alive() and not failures
    assert not writer.flush()
    writer.close()


def test_once_told_to_stop_no_further_burst_waits(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    stop = threading.Event()
    _, writer, thread, failures = start_blocked_writer(serve, stop)
    stop.set()
    thread.join(5)
    waits: list[int] = []
    monkeypatch.setattr(bounded_writer.BoundedWriter, "wait", lambda self, num_pending: waits.append(num_pending))
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    num_before = writer.num_rows
    add(sink, 50)
    assert not writer.flush()
    assert not waits and not failures
    assert writer.num_rows == num_before + 50  # none is dropped
    writer.close()


@pytest.mark.parametrize(
    ("layout", "message"),
    [pytest.param(transition.TransitionLayout(3, 1), r"needs float32\[1, 9\].*another environment", id="other rows")],
)
def test_refuses_the_tables_of_another_environment(serve: Serve, layout: transition.TransitionLayout, message: str):
    config = replay_config.ReplayConfig()
    with pytest.raises(errors.ConfigError, match=message):
        transition_writer.TransitionWriter(serve(config), layout, config, 1.0)


def test_no_row_is_lost_when_the_server_dies_and_comes_back(server_process: Any):
    config = replay_config.ReplayConfig(max_in_flight=40)
    # By this clock bursts always grow, so that 15 rows are in flight or wait to be sent, and no call waits for the dead server.
    writer = transition_writer.TransitionWriter(
        reverb.Client(server_process.address), LAYOUT, config, 1.0, clock=lambda: 0.0
    )
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    add(sink, 10)
    assert writer.flush()
    server_process.kill()
    add(sink, 15, first_reward=100)
    server_process.start()
    add(sink, 30, first_reward=200)
    assert writer.flush()
    client = reverb.Client(server_process.address)
    # The first ten went down with the server.
    assert size(client) == 45
    assert rewards(client, 1000) == {*range(100, 115), *range(200, 230)}
    writer.close()


def test_dead_server_is_an_error_after_the_deadline(server_process: Any):
    config = replay_config.ReplayConfig(max_in_flight=4)
    client = reverb.Client(server_process.address)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, 1.0, deadline_sec=1.0)
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    server_process.kill()
    with pytest.raises(errors.RemoteTimeoutError, match="no answer within 1 s"):
        add(sink, 20)
    # Neither waits for ever, nor does the end of the process that follows.
    writer.close()


def test_server_that_only_pauses_loses_nothing(server_process: Any):
    config = replay_config.ReplayConfig(max_in_flight=4)
    client = reverb.Client(server_process.address)
    writer = transition_writer.TransitionWriter(client, LAYOUT, config, 1.0)
    sink = writer.sinks(1)[0]
    sink.start(OBSERVATION)
    add(sink, 2)
    server_process.freeze()
    timer = threading.Timer(1.0, server_process.thaw)
    timer.start()
    add(sink, 20, first_reward=100)
    assert writer.flush() and size(client) == 22
    timer.join()
    writer.close()
