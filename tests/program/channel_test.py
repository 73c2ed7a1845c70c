"""Tests of `tfquarl.program.channel`."""

import multiprocessing
import struct

import numpy as np
import pytest

from tfquarl.program import channel


@pytest.fixture
def pipe():
    ours, theirs = multiprocessing.Pipe(duplex=False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_arrive_in_order_with_plain_values(pipe):
    ours, theirs = pipe
    sender = channel.Sender(theirs)
    sender.send("ready", address="localhost:1")
    sender.write("train", np.int64(3), {"Losses/loss": np.float32(0.5)})
    assert channel.receive(ours) == [
        channel.Message("ready", {"address": "localhost:1"}),
        channel.Message("metrics", {"group": "train", "step": 3, "values": {"Losses/loss": 0.5}}),
    ]
    assert channel.receive(ours) == []


def test_last_words_come_before_the_end(pipe):
    ours, theirs = pipe
    channel.Sender(theirs).send("error", reason="no space")
    theirs.close()
    assert channel.receive(ours) == [channel.Message("error", {"reason": "no space"})]
    assert channel.receive(ours) is None


def test_no_more_than_the_limit_are_taken_at_once(pipe):
    ours, theirs = pipe
    for number in range(5):
        channel.Sender(theirs).send("alive", number=number)
    theirs.close()
    numbers = [[message.body["number"] for message in channel.receive(ours, limit=2) or []] for _ in range(3)]
    assert numbers == [[0, 1], [2, 3], [4]]
    assert channel.receive(ours, limit=2) is None


def test_a_message_that_was_cut_off_is_the_end(pipe):
    ours, theirs = pipe
    with open(theirs.fileno(), "wb", closefd=False) as file:
        file.write(struct.pack("!i", 100) + b"half")
    theirs.close()
    assert channel.receive(ours) is None


def test_a_launcher_that_has_gone_is_no_error_for_a_node(pipe):
    ours, theirs = pipe
    ours.close()
    channel.Sender(theirs).send("running")
