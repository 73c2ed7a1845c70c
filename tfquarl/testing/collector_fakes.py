"""Fakes around a collector: sinks that write down what they get, sources of policies that a test holds the handle of."""

from collections.abc import Iterable
import threading
from typing import Any

import numpy as np

from tfquarl.core import records


class TapeSink:
    """A `TransitionSink` that writes down its calls in `tape`, observations as lists."""

    def __init__(self) -> None:
        self.tape: list[tuple[Any, ...]] = []

    def start(self, observation: np.ndarray) -> None:
        """Notes the start of an episode."""
        self.tape.append(("start", observation.tolist()))

    def add(self, action: Any, reward: float, observation: np.ndarray, terminated: bool, truncated: bool) -> None:
        """Notes a step."""
        self.tape.append(("add", action, reward, observation.tolist(), terminated, truncated))


class TapeObservations:
    """An `ObservationSink` that keeps what it gets in `observations`, as it is."""

    def __init__(self) -> None:
        self.observations: list[np.ndarray] = []

    def add(self, observation: np.ndarray) -> None:
        """Keeps an observation."""
        self.observations.append(observation)


class QueuedArtifacts:
    """An `ArtifactSource` that gives what was put into it, one at a time; an exception is raised instead of given.

    Attributes:
      was_polled: set by every look at it.
    """

    def __init__(self, items: Iterable[records.PolicyArtifact | Exception] = ()) -> None:
        self._items = list(items)
        self.was_polled = threading.Event()

    def put(self, item: records.PolicyArtifact | Exception) -> None:
        """Adds an item behind the others."""
        self._items.append(item)

    def poll(self) -> records.PolicyArtifact | None:
        """The next item, or None."""
        self.was_polled.set()
        if not self._items:
            return None
        item = self._items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


def artifact(
    version: int, train_step: int = 0, model: bytes = b"model", recipe: str = "static_wi8_ai8"
) -> records.PolicyArtifact:
    """An artifact of which only these are of use."""
    return records.PolicyArtifact(version, train_step, recipe, model, {})
