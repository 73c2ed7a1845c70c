"""The reading end of a publication: the newest value that verifies, never an older one, and never a wait for long."""

from collections.abc import Callable
from typing import Generic
from typing import TypeVar

from absl import logging
import numpy as np

from tfquarl.core import deadline
from tfquarl.core import errors
from tfquarl.publication import latest_table
from tfquarl.publication import signature

_T = TypeVar("_T")


class Subscription(Generic[_T]):
    """Polls one table. Not for several threads."""

    def __init__(
        self,
        table: latest_table.LatestTable,
        signer: signature.Signer,
        unpack: Callable[[np.ndarray], tuple[int, _T]],
    ) -> None:
        """Stores the parts.

        Args:
          table: to poll.
          signer: verifies its payloads.
          unpack: version and value of a payload uint8 [N]; raises `ArtifactError` for bytes that are not what they say.
        """
        self._table, self._signer, self._unpack = table, signer, unpack
        self._seen = -1
        # What the table announced when a value was given last, which may be less than that value's version, and when one was refused.
        self._announced: int | None = None
        self._refused: int | None = None
        self._is_answered = True

    def poll(self) -> _T | None:
        """The newest value if it is newer than the last one given; None where nothing else is announced.

        A server that does not answer is no error here: who needs newer values judges by the age of the last one.

        Raises:
          ArtifactError: what was announced last does not verify, or is older than the last one given; it is told once.
        """
        try:
            found = self._table.poll(self._seen, self._announced, self._refused)
        except deadline.StoppedError:
            return None
        except errors.RemoteTimeoutError as error:
            if self._is_answered:
                logging.warning("%s; going on with what was last published", error)
            self._is_answered = False
            return None
        self._is_answered = True
        if found is None:
            return None
        try:
            value = self._verify(found)
        except errors.ArtifactError:
            self._refused = found.announced
            raise
        self._seen, self._announced = found.version, found.announced
        return value

    def _verify(self, found: latest_table.Publication) -> _T:
        if found.payload is None or found.version <= self._seen:
            raise errors.ArtifactError(
                f"version {found.version} was published after version {self._seen}, which is newer and stays; did the server die"
                " and lose it, or does another program write to it?"
            )
        version, value = self._unpack(self._signer.verify(found.payload))
        if version != found.version:
            raise errors.ArtifactError(f"bytes published as version {found.version} hold version {version}")
        return value
