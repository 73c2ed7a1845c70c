"""Tests of tfquarl.publication.latest_table, with real servers: one for each documented error, and a race."""

from collections.abc import Callable
from collections.abc import Sequence
import threading
from typing import Any

import numpy as np
import pytest
import reverb

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.publication import latest_table
from tfquarl.replay import server_calls
from tfquarl.replay import tables

Serve = Callable[[Sequence[reverb.Table]], reverb.Client]
NAME = "policy"


@pytest.fixture
def table(client: reverb.Client) -> latest_table.LatestTable:
    return latest_table.LatestTable(client, NAME)


def read(found: latest_table.Publication | None) -> tuple[int, bytes] | None:
    return None if found is None or found.payload is None else (found.version, found.payload.tobytes())


def test_nothing_published(table: latest_table.LatestTable):
    assert table.poll(-1) is None and table.newest_version() is None


def test_newest_wins(table: latest_table.LatestTable):
    assert table.push(0, b"zero") and table.push(3, b"three, longer")
    assert read(table.poll(-1)) == (3, b"three, longer")
    assert table.newest_version() == 3


def test_nothing_newer_is_told_without_fetching(table: latest_table.LatestTable, client: reverb.Client):
    table.push(3, b"three")
    assert table.poll(3) is None and table.poll(2, refused=3) is None
    assert table.poll(4, announced=3) is None
    assert table.poll(4) == table.poll(5, announced=4) == latest_table.Publication(3, 3, None)
    samples = server_calls.server_info(client, 5)[NAME].rate_limiter_info.sample_stats.completed
    assert samples == 0
    assert read(table.poll(2)) == (3, b"three")


@pytest.mark.parametrize(("look_anyway_sec", "num_looks"), [(1000.0, 1), (0.0, 3)], ids=["unchanged", "after a while"])
def test_polls_of_an_unchanged_table_read_its_version_once(
    table: latest_table.LatestTable,
    client: reverb.Client,
    monkeypatch: pytest.MonkeyPatch,
    look_anyway_sec: float,
    num_looks: int,
):
    monkeypatch.setattr(latest_table, "_LOOK_ANYWAY_SEC", look_anyway_sec)
    table.push(3, b"three")
    assert [table.poll(3), table.poll(3), read(table.poll(2))] == [None, None, (3, b"three")]
    info = server_calls.server_info(client, 5)[f"{NAME}_version"]
    # Pushing asked for the version before there was one.
    assert info.rate_limiter_info.sample_stats.completed == num_looks
    table.push(4, b"four")
    assert read(table.poll(3)) == (4, b"four")


def test_same_version_may_be_pushed_again(table: latest_table.LatestTable, client: reverb.Client):
    table.push(3, b"three")
    again = latest_table.LatestTable(client, NAME)
    assert again.push(3, b"three by a restarted process")
    assert read(table.poll(2)) == (3, b"three by a restarted process")


@pytest.mark.parametrize("is_restarted", [False, True], ids=["same publisher", "restarted publisher"])
def test_older_version_is_left_out(
    table: latest_table.LatestTable, client: reverb.Client, is_restarted: bool, caplog: pytest.LogCaptureFixture
):
    table.push(5, b"five")
    publisher = latest_table.LatestTable(client, NAME) if is_restarted else table
    assert not publisher.push(4, b"four")
    assert "version 4 of 'policy' is older than 5" in caplog.text
    assert read(table.poll(-1)) == (5, b"five")
    assert publisher.push(6, b"six")


def test_version_comes_after_its_payload(client: reverb.Client, monkeypatch: pytest.MonkeyPatch):
    order: list[tuple[str, float]] = []
    writer = reverb.TrajectoryWriter.create_item

    def record(self: Any, table: str, priority: float, trajectory: Any) -> None:
        order.append((table, priority))
        writer(self, table, priority, trajectory)

    monkeypatch.setattr(reverb.TrajectoryWriter, "create_item", record)
    latest_table.LatestTable(client, NAME).push(7, b"seven")
    assert order == [("policy", 7.0), ("policy_version", 1.0)]


class _OnItsWay:
    """Stands for the writer of a payload that the server has not confirmed when the stop signal comes."""

    def wait(self) -> bool:
        return False


def test_nothing_is_written_before_an_earlier_payload_has_arrived(
    table: latest_table.LatestTable, client: reverb.Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(table, "_unconfirmed", _OnItsWay())
    assert not table.push(1, b"one")
    info = server_calls.server_info(client, 5)
    assert (info[NAME].current_size, info[f"{NAME}_version"].current_size) == (0, 0)


def test_payload_newer_than_the_version_read_is_told_by_its_own_version(client: reverb.Client):
    table = latest_table.LatestTable(client, NAME)
    table.push(1, b"one")
    # A publisher between its two writes.
    half = latest_table.LatestTable(client, NAME)
    assert half._write(np.frombuffer(b"two", np.uint8), NAME, 2.0)
    assert read(table.poll(0)) == (2, b"two")


def test_payloads_of_any_size(table: latest_table.LatestTable):
    for version, size in enumerate((1, 1 << 20, 10_000_000, 3), start=1):
        payload = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8).tobytes()
        table.push(version, payload)
        assert read(table.poll(version - 1)) == (version, payload)


def wrong_tables() -> dict[str, tuple[list[reverb.Table], list[str]]]:
    good, good_version = latest_table.make_latest_tables(NAME)
    large = reverb.Table(
        NAME,
        reverb.selectors.Lifo(),
        reverb.selectors.Fifo(),
        2,
        reverb.rate_limiters.MinSize(1),
        signature=tables.make_newest_item_table("x", [None], "uint8")._signature,
    )
    return {
        "no table": ([reverb.Table.queue("other", 1)], ["no table 'policy',", "no table 'policy_version'"]),
        "no version table": ([good], ["no table 'policy_version'"]),
        "too large": ([large, good_version], ["table 'policy' holds 2 items, needs 1"]),
        "no signature": ([reverb.Table.queue(NAME, 1), good_version], ["table 'policy' has no signature"]),
        "fixed size": (
            [tables.make_newest_item_table(NAME, [8], "uint8"), good_version],
            [r"needs uint8\[None\]"],
        ),
        "wrong dtype": (
            [good, tables.make_newest_item_table("policy_version", [], "int32")],
            [r"needs int64\[\]"],
        ),
    }


@pytest.mark.parametrize("case", list(wrong_tables()))
def test_refuses_a_server_with(serve: Serve, case: str):
    server_tables, messages = wrong_tables()[case]
    with pytest.raises(errors.PublicationError, match=".*".join(messages)):
        latest_table.LatestTable(serve(server_tables), NAME)


def test_server_that_does_not_answer(stopped_client: reverb.Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "_SERVER_INFO_SEC", 1)
    with pytest.raises(errors.RemoteTimeoutError, match="is it alive"):
        latest_table.LatestTable(stopped_client, NAME)


@pytest.fixture
def orphan() -> latest_table.LatestTable:
    """A table whose server has stopped."""
    server = reverb.Server(latest_table.make_latest_tables(NAME))
    table = latest_table.LatestTable(reverb.Client(f"localhost:{server.port}"), NAME, deadline_sec=0.5)
    table.push(1, b"one")
    server.stop()
    return table


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda table: table.poll(0), id="poll"),
        pytest.param(lambda table: table.newest_version(), id="newest_version"),
        pytest.param(lambda table: table.push(2, b"two"), id="push"),
    ],
)
def test_server_that_died(orphan: latest_table.LatestTable, call: Callable[[latest_table.LatestTable], object]):
    with pytest.raises(errors.RemoteTimeoutError, match="no answer within"):
        call(orphan)
    orphan.close()


def test_stop_signal_ends_the_wait():
    server = reverb.Server(latest_table.make_latest_tables(NAME))
    stop = threading.Event()
    client = reverb.Client(f"localhost:{server.port}")
    table = latest_table.LatestTable(client, NAME, stop, deadline_sec=60)
    fresh = latest_table.LatestTable(client, NAME, stop, deadline_sec=60)
    assert table.push(1, b"one")
    server.stop()
    stop.set()
    assert not table.push(2, b"two") and not fresh.push(2, b"two")
    with pytest.raises(deadline.StoppedError):
        table.poll(0)


def test_race(client: reverb.Client):
    num_versions, barrier = 100, threading.Barrier(3)
    failures: list[BaseException] = []
    seen: tuple[list[int], list[int]] = ([], [])

    def publish() -> None:
        table = latest_table.LatestTable(client, NAME)
        barrier.wait(20)
        for version in range(1, num_versions + 1):
            assert table.push(version, bytes([version]) * (1000 + version))

    def subscribe(versions: list[int]) -> None:
        table = latest_table.LatestTable(client, NAME)
        barrier.wait(20)
        newest = announced = 0
        while newest < num_versions:
            found = table.poll(newest, announced)
            if found is not None:
                announced, version, payload = found
                assert payload is not None
                assert payload.tobytes() == bytes([version]) * (1000 + version)
                versions.append(version)
                newest = version

    def guarded(function: Callable[..., None], *args: Any) -> None:
        try:
            function(*args)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(publish,))]
    threads += [threading.Thread(target=guarded, args=(subscribe, versions)) for versions in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures and not any(thread.is_alive() for thread in threads)
    for versions in seen:
        assert versions == sorted(set(versions)) and versions[-1] == num_versions
