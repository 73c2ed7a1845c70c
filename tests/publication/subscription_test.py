"""Tests of tfquarl.publication.subscription with a table that answers as told."""

from typing import Any

import numpy as np
import pytest

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.publication import latest_table
from tfquarl.publication import signature
from tfquarl.publication import subscription

Answer = tuple[int, bytes] | latest_table.Publication | Exception | None


class ScriptedTable:
    """Gives its answers in turn, and remembers the questions."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.questions: list[tuple[int, int | None, int | None]] = []

    def poll(self, seen: int, announced: int | None, refused: int | None) -> latest_table.Publication | None:
        self.questions.append((seen, announced, refused))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer is None or isinstance(answer, latest_table.Publication):
            return answer
        return latest_table.Publication(answer[0], answer[0], np.frombuffer(answer[1], np.uint8))


def unpack(payload: np.ndarray) -> tuple[int, bytes]:
    """The first byte is the version; 'x' marks altered bytes."""
    data = payload.tobytes()
    if b"x" in data:
        raise errors.ArtifactError("altered")
    return data[0], data


def make(*answers: Answer, key: bytes | None = None) -> tuple[ScriptedTable, subscription.Subscription[bytes]]:
    table: Any = ScriptedTable(*answers)
    return table, subscription.Subscription(table, signature.Signer("policy", key), unpack)


def test_each_version_once():
    table, source = make((1, b"\1"), None, (3, b"\3"), None)
    assert [source.poll() for _ in range(4)] == [b"\1", None, b"\3", None]
    assert table.questions == [(-1, None, None), (1, 1, None), (1, 1, None), (3, 3, None)]


@pytest.mark.parametrize(
    "older",
    [
        latest_table.Publication(2, 2, None),
        latest_table.Publication(8, 2, np.frombuffer(b"\2", np.uint8)),
        latest_table.Publication(8, 3, np.frombuffer(b"\3", np.uint8)),
    ],
    ids=["announced as it is", "announced as a newer one", "the same one announced as a newer one"],
)
def test_an_older_one_is_refused_once(older: latest_table.Publication):
    table, source = make((3, b"\3"), older, None, (9, b"\11"))
    assert source.poll() == b"\3"
    with pytest.raises(errors.ArtifactError, match=f"version {older.version} was published after version 3"):
        source.poll()
    assert [source.poll(), source.poll()] == [None, b"\11"]
    assert table.questions[-2:] == [(3, 3, older.announced)] * 2


def test_bad_bytes_between_two_writes_are_refused_once():
    """A publisher that died after the payload of version 10 and before it announced it."""
    table, source = make(latest_table.Publication(9, 10, np.frombuffer(b"\12x", np.uint8)), None)
    with pytest.raises(errors.ArtifactError, match="altered"):
        source.poll()
    assert source.poll() is None
    assert table.questions == [(-1, None, None), (-1, None, 9)]


def test_a_newer_payload_is_taken_before_it_is_announced():
    table, source = make(latest_table.Publication(1, 2, np.frombuffer(b"\2", np.uint8)), None)
    assert [source.poll(), source.poll()] == [b"\2", None]
    assert table.questions[1] == (2, 1, None)


def test_altered_bytes_are_refused_once():
    table, source = make((1, b"\1"), (2, b"\2x"), None, (3, b"\3"))
    assert source.poll() == b"\1"
    with pytest.raises(errors.ArtifactError, match="altered"):
        source.poll()
    assert [source.poll(), source.poll()] == [None, b"\3"]
    assert table.questions == [(-1, None, None), (1, 1, None), (1, 1, 2), (1, 1, 2)]


def test_a_wrong_version_does_not_shut_out_the_right_ones():
    _, source = make((1 << 50, b"\2"), (3, b"\3"))
    with pytest.raises(errors.ArtifactError, match="published as version 1125899906842624 hold version 2"):
        source.poll()
    assert source.poll() == b"\3"


def test_unsigned_bytes_are_refused_where_there_is_a_key():
    _, source = make((1, b"\1" * 64), key=b"k" * 16)
    with pytest.raises(errors.ArtifactError, match="not signed"):
        source.poll()


def test_silent_server_is_no_error(caplog: pytest.LogCaptureFixture):
    silence = errors.RemoteTimeoutError("no answer")
    _, source = make((1, b"\1"), silence, silence, (2, b"\2"), silence, deadline.StoppedError())
    assert [source.poll() for _ in range(6)] == [b"\1", None, None, b"\2", None, None]
    # Once for each outage.
    assert caplog.text.count("no answer; going on") == 2
