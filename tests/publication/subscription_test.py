"""Tests of tfquarl.publication.subscription with a table that answers as told."""

from typing import Any

import numpy as np
import pytest

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.publication import signature
from tfquarl.publication import subscription

Answer = tuple[int, bytes] | Exception | None


class ScriptedTable:
    """Gives its answers in turn, and remembers the questions."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.questions: list[tuple[int, int | None]] = []

    def poll(self, newer_than: int, refused: int | None) -> tuple[int, np.ndarray] | None:
        self.questions.append((newer_than, refused))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else (answer[0], np.frombuffer(answer[1], np.uint8))


def unpack(payload: np.ndarray) -> tuple[int, bytes]:
    """The first byte is the version; 'x' marks altered bytes."""
    data = payload.tobytes()
    if b"x" in data:
        raise errors.ArtifactError("altered")
    return data[0], data


def make(*answers: Answer, key: bytes | None = None) -> tuple[ScriptedTable, subscription.Subscription[bytes]]:
    table: Any = ScriptedTable(*answers)
    return table, subscription.Subscription(table, signature.Signer("policy", key), unpack)


def test_each_version_once_and_never_an_older_one():
    table, source = make((1, b"\1"), None, (3, b"\3"), (2, b"\2"), (3, b"\3"))
    assert [source.poll() for _ in range(5)] == [b"\1", None, b"\3", None, None]
    assert table.questions == [(-1, None), (1, None), (1, None), (3, None), (3, None)]
    assert source.num_refused == 0


def test_altered_bytes_are_refused_once_and_counted():
    table, source = make((1, b"\1"), (2, b"\2x"), None, (3, b"\3"))
    assert source.poll() == b"\1"
    with pytest.raises(errors.ArtifactError, match="altered"):
        source.poll()
    assert [source.poll(), source.poll()] == [None, b"\3"]
    assert source.num_refused == 1
    assert table.questions == [(-1, None), (1, None), (1, 2), (1, 2)]


def test_a_wrong_version_does_not_shut_out_the_right_ones():
    _, source = make((1 << 50, b"\2"), (3, b"\3"))
    with pytest.raises(errors.ArtifactError, match="published as version 1125899906842624 hold version 2"):
        source.poll()
    assert source.poll() == b"\3"


def test_unsigned_bytes_are_refused_where_there_is_a_key():
    _, source = make((1, b"\1" * 64), key=b"k" * 16)
    with pytest.raises(errors.ArtifactError, match="not signed"):
        source.poll()
    assert source.num_refused == 1


def test_silent_server_is_no_error(caplog: pytest.LogCaptureFixture):
    silence = errors.RemoteTimeoutError("no answer")
    _, source = make((1, b"\1"), silence, silence, (2, b"\2"), silence, deadline.StoppedError())
    assert [source.poll() for _ in range(6)] == [b"\1", None, None, b"\2", None, None]
    assert source.num_unanswered == 3
    # Once for each outage.
    assert caplog.text.count("no answer; going on") == 2
