"""Tests of tfquarl.publication.publication_tables: what the server serves is what every client asks for."""

import reverb

from tfquarl.publication import policy_publisher
from tfquarl.publication import policy_subscriber
from tfquarl.publication import publication_tables
from tfquarl.publication import snapshot_channel


def test_names():
    names = [table.name for table in publication_tables.make_publication_tables()]
    assert names == [
        "snapshot",
        "snapshot_version",
        "policy",
        "policy_version",
        "evaluation",
        "evaluation_version",
    ]


def test_all_clients_accept_the_server(client: reverb.Client):
    for end in (
        snapshot_channel.SnapshotPublisher,
        snapshot_channel.SnapshotSubscriber,
        policy_publisher.PolicyPublisher,
        policy_publisher.EvaluationPublisher,
        policy_subscriber.PolicySubscriber,
        policy_subscriber.EvaluationSubscriber,
    ):
        end(client)
