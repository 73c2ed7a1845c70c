"""Tests of `tfquarl.program.replay_checkpoints`, with real servers."""

import json

import pytest
import reverb
import tensorflow as tf

from tfquarl.program import replay_checkpoints


def _serve(checkpoints):
    table = reverb.Table(
        "t",
        reverb.selectors.Fifo(),
        reverb.selectors.Fifo(),
        10,
        reverb.rate_limiters.SampleToInsertRatio(8.0, 1, 100.0),
        signature=tf.TensorSpec([], tf.int64),
    )
    return reverb.Server([table], None, checkpoints.checkpointer())


def _values(client):
    size = client.server_info(10)["t"].current_size
    return [int(sample.data[0]) for sample in client.sample("t", size, emit_timesteps=False)][:size]


@pytest.fixture
def three(tmp_path):
    """Checkpoints 1, 2 and 3 of a table that holds as many items."""
    checkpoints = replay_checkpoints.ReplayCheckpoints(tmp_path / "replay", max_to_keep=2)
    server = _serve(checkpoints)
    client = server.localhost_client()
    for value in (1, 2, 3):
        client.insert(value, {"t": 1.0})
        assert checkpoints.save(client).name == str(value)
    server.stop()
    return checkpoints


def _size(checkpoints):
    server = _serve(checkpoints)
    info = server.localhost_client().server_info(10)["t"]
    server.stop()
    assert info.current_size == info.rate_limiter_info.insert_stats.completed
    return info.current_size


def test_the_newest_ones_are_kept(three, tmp_path):
    assert sorted(path.name for path in (tmp_path / "replay").iterdir()) == [".writing", "2", "3"]


def test_a_new_server_goes_on_with_items_and_counts(three):
    assert _size(three) == 3


@pytest.mark.parametrize("damage", ["cut", "altered", "removed", "without_digests"])
def test_a_damaged_one_is_passed_over(three, tmp_path, damage, caplog):
    newest = tmp_path / "replay" / "3"
    largest = max((path for path in newest.iterdir()), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    if damage == "cut":
        largest.write_bytes(data[: len(data) // 2])
    elif damage == "altered":
        largest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "removed":
        largest.unlink()
    else:
        (newest / "digests.json").unlink()
    assert _size(three) == 2
    assert "Replay checkpoint" in caplog.text and "passed over" in caplog.text


def test_damaged_ones_do_not_crowd_out_a_whole_one(three, tmp_path):
    (tmp_path / "replay" / "3" / "digests.json").unlink()
    server = _serve(three)
    assert three.save(server.localhost_client()).name == "4"
    server.stop()
    assert sorted(path.name for path in (tmp_path / "replay").glob("[0-9]*")) == ["2", "4"]


def test_where_none_is_whole_the_replay_begins_empty(three, tmp_path):
    for path in (tmp_path / "replay").glob("?/digests.json"):
        path.write_text(json.dumps([]))
    assert _size(three) == 0


def test_what_a_killed_server_left_half_written_is_removed(three, tmp_path):
    half = tmp_path / "replay" / ".writing" / "2026"
    half.mkdir()
    (half / "chunks.tfrecord").write_bytes(b"half")
    assert _size(three) == 3
    assert not half.exists()
