"""Tests of tfquarl.publication.snapshot_channel, with a real server."""

import numpy as np
import pytest
import reverb

from tfquarl.core import errors
from tfquarl.publication import latest_table
from tfquarl.publication import snapshot_channel
from tfquarl.testing import example_records

KEY = b"0123456789abcdef"


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_newest_snapshot_arrives_once(client: reverb.Client, key: bytes | None):
    publisher = snapshot_channel.SnapshotPublisher(client, key)
    subscriber = snapshot_channel.SnapshotSubscriber(client, key)
    assert subscriber.poll() is None and publisher.newest_version() is None
    publisher.push(example_records.snapshot(1))
    publisher.push(example_records.snapshot(2))
    snapshot = subscriber.poll()
    assert snapshot is not None and (snapshot.version, snapshot.train_step) == (2, 20)
    np.testing.assert_array_equal(snapshot.variables["head/kernel"], np.full((2, 3), 2, np.float32))
    assert subscriber.poll() is None
    publisher.close()


def test_restarted_learner_learns_where_to_number_on(client: reverb.Client):
    snapshot_channel.SnapshotPublisher(client).push(example_records.snapshot(7))
    restarted = snapshot_channel.SnapshotPublisher(client)
    assert restarted.newest_version() == 7
    restarted.push(example_records.snapshot(6))
    snapshot = snapshot_channel.SnapshotSubscriber(client).poll()
    assert snapshot is not None and snapshot.version == 7


def test_altered_snapshot_is_refused(client: reverb.Client):
    latest_table.LatestTable(client, snapshot_channel.TABLE).push(1, b"\0" * 100)
    subscriber = snapshot_channel.SnapshotSubscriber(client)
    with pytest.raises(errors.ArtifactError, match="starts with"):
        subscriber.poll()
    assert subscriber.poll() is None


@pytest.mark.parametrize("end", [snapshot_channel.SnapshotPublisher, snapshot_channel.SnapshotSubscriber])
def test_refuses_a_server_without_its_tables(end: type):
    server = reverb.Server([reverb.Table.queue("other", 1)])
    with pytest.raises(errors.PublicationError, match="no table 'snapshot'"):
        end(reverb.Client(f"localhost:{server.port}"))
    server.stop()
