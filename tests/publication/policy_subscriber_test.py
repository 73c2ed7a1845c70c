"""Tests of policies and evaluation pairs through a real server: tfquarl.publication.policy_publisher and policy_subscriber."""

import hypothesis
from hypothesis import strategies
import pytest
import reverb

from tfquarl.core import errors
from tfquarl.core import wire
from tfquarl.publication import latest_table
from tfquarl.publication import policy_publisher
from tfquarl.publication import policy_subscriber
from tfquarl.publication import publication_tables
from tfquarl.testing import example_records

KEY = b"0123456789abcdef"
PAIR = (example_records.artifact(4), example_records.artifact(4, "float32"))


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_policies_arrive_newest_first_and_once(client: reverb.Client, key: bytes | None):
    publisher = policy_publisher.PolicyPublisher(client, key)
    subscriber = policy_subscriber.PolicySubscriber(client, key)
    assert subscriber.poll() is None and publisher.newest_version() is None
    publisher.publish(example_records.artifact(1))
    publisher.publish(example_records.artifact(2))
    assert subscriber.poll() == example_records.artifact(2)
    assert subscriber.poll() is None
    publisher.publish(example_records.artifact(1))
    assert subscriber.poll() is None
    assert publisher.newest_version() == 2
    publisher.close()


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_pairs_arrive_together(client: reverb.Client, key: bytes | None):
    publisher = policy_publisher.EvaluationPublisher(client, key)
    subscriber = policy_subscriber.EvaluationSubscriber(client, key)
    assert subscriber.poll() is None
    publisher.publish_pair(*PAIR)
    assert subscriber.poll() == PAIR
    assert subscriber.poll() is None
    publisher.close()


def test_pair_of_two_versions(client: reverb.Client):
    publisher = policy_publisher.EvaluationPublisher(client)
    with pytest.raises(ValueError, match="one version, got 4 and 5"):
        publisher.publish_pair(PAIR[0], example_records.artifact(5))


def push_raw(client: reverb.Client, table: str, version: int, payload: bytes) -> None:
    assert latest_table.LatestTable(client, table).push(version, payload)


def test_refused_artifact_leaves_the_next_one_alone(client: reverb.Client):
    subscriber = policy_subscriber.PolicySubscriber(client)
    push_raw(client, "policy", 1, wire.pack_artifact(example_records.artifact(1))[:-3])
    with pytest.raises(errors.ArtifactError, match="altered"):
        subscriber.poll()
    assert subscriber.poll() is None
    push_raw(client, "policy", 2, wire.pack_artifact(example_records.artifact(2)))
    assert subscriber.poll() == example_records.artifact(2)


def test_old_artifact_published_as_a_new_one(client: reverb.Client):
    subscriber = policy_subscriber.PolicySubscriber(client)
    push_raw(client, "policy", 9, wire.pack_artifact(example_records.artifact(1)))
    with pytest.raises(errors.ArtifactError, match="published as version 9 hold version 1"):
        subscriber.poll()


def test_unsigned_artifact_where_there_is_a_key(client: reverb.Client):
    policy_publisher.PolicyPublisher(client).publish(example_records.artifact(1))
    subscriber = policy_subscriber.PolicySubscriber(client, KEY)
    with pytest.raises(errors.ArtifactError, match="not signed"):
        subscriber.poll()
    policy_publisher.PolicyPublisher(client, KEY).publish(example_records.artifact(2))
    assert subscriber.poll() == example_records.artifact(2)


def packed_pair() -> bytes:
    first, second = (wire.pack_artifact(artifact) for artifact in PAIR)
    return policy_publisher.PAIR_PREFIX.pack(len(first)) + first + second


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        pytest.param(b"short", "5 bytes, needs 8", id="shorter than its prefix"),
        pytest.param(b"\xff" * 8 + packed_pair()[8:], "its first artifact has", id="giant first artifact"),
        pytest.param(packed_pair()[:-1], "altered", id="truncated"),
        pytest.param(packed_pair() + b"\0", "altered", id="longer"),
        pytest.param(
            policy_publisher.PAIR_PREFIX.pack(len(wire.pack_artifact(PAIR[0])))
            + wire.pack_artifact(PAIR[0])
            + wire.pack_artifact(example_records.artifact(5)),
            "versions 4 and 5 differ",
            id="two versions",
        ),
    ],
)
def test_refuses_pair(client: reverb.Client, payload: bytes, message: str):
    push_raw(client, "evaluation", 4, payload)
    subscriber = policy_subscriber.EvaluationSubscriber(client)
    with pytest.raises(errors.ArtifactError, match=message):
        subscriber.poll()
    assert subscriber.poll() is None


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_no_altered_payload_is_accepted(client: reverb.Client, key: bytes | None):
    """Alters what lies in the server's tables, and polls with subscribers that live through all of it."""
    publisher = policy_publisher.PolicyPublisher(client, key)
    policies = policy_subscriber.PolicySubscriber(client, key)
    pairs = policy_subscriber.EvaluationSubscriber(client, key)
    table, pair_table = (latest_table.LatestTable(client, name) for name in ("policy", "evaluation"))
    version = 0

    @hypothesis.settings(max_examples=100, deadline=None)
    @hypothesis.given(
        position=strategies.integers(0, 1 << 20), change=strategies.integers(1, 255), cut=strategies.integers(0, 40)
    )
    def fuzz(position: int, change: int, cut: int) -> None:
        nonlocal version
        version += 1
        for subscriber, where, payload in (
            (policies, table, publisher._signer.sign(wire.pack_artifact(example_records.artifact(version)))),
            (pairs, pair_table, packed_pair()),
        ):
            altered = bytearray(payload)
            altered[position % len(altered)] ^= change
            where.push(version, bytes(altered[: len(altered) - cut]))
            with pytest.raises(errors.ArtifactError):
                subscriber.poll()

    fuzz()
    publisher._table.push(
        version + 1, publisher._signer.sign(wire.pack_artifact(example_records.artifact(version + 1)))
    )
    assert policies.poll() == example_records.artifact(version + 1)


def test_server_that_died_is_no_error_for_a_subscriber(caplog: pytest.LogCaptureFixture):
    server = reverb.Server(publication_tables.make_publication_tables())
    subscriber = policy_subscriber.PolicySubscriber(reverb.Client(f"localhost:{server.port}"), deadline_sec=0.3)
    server.stop()
    assert subscriber.poll() is None
    assert caplog.text.count("going on with what was last published") == 1
