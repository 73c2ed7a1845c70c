"""The pipe from a node's process to the launcher: small JSON messages, one way.

Every node has a pipe of its own, so that a process killed in the middle of a write can't hold up the others.
"""

from collections.abc import Mapping
import dataclasses
import json
from multiprocessing import connection as connection_lib
import threading
from typing import Any


@dataclasses.dataclass(frozen=True)
class Message:
    """What a node tells the launcher.

    Attributes:
      kind: 'running', 'alive', 'metrics', 'ready', 'evaluation', 'finished', 'warning' or 'error'.
      body: plain JSON values; by kind: {}; {}; {'group', 'step', 'values'}; {'address'}; an evaluation; {'version', 'train_step',
        'is_done'}, whether no train step is left to make; {'text'}; {'reason', 'error'}, which is its class.
    """

    kind: str
    body: Mapping[str, Any]


class Sender:
    """The node's end; a `MetricsSink`. Threads of the node may share it."""

    def __init__(self, connection: connection_lib.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: str, **body: Any) -> None:
        """Sends one message. A launcher that has gone is no error here: the node's watch on its parent ends it."""
        data = json.dumps([kind, body], default=float).encode()
        with self._lock:
            try:
                self._connection.send_bytes(data)
            except OSError:
                return

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Sends figures, as `MetricsSink` has it."""
        self.send("metrics", group=group, step=int(step), values={name: float(value) for name, value in values.items()})


def receive(connection: connection_lib.Connection, limit: int | None = None) -> list[Message] | None:
    """Messages that are waiting on the launcher's end, in order; None once the node has closed its own.

    Args:
      connection: that end.
      limit: the most to take, as a node may send faster than they can be read; None takes all.
    """
    messages: list[Message] = []
    while (limit is None or len(messages) < limit) and connection.poll():
        try:
            kind, body = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return messages or None
        messages.append(Message(kind, body))
    return messages
