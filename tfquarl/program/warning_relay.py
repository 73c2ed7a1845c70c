"""What tfquarl warns of in a node, on its way to the user's console; the node's log has it too, with what other packages say."""

import collections
import logging
import os
import pathlib

from tfquarl.core import interfaces
from tfquarl.program import channel

_PACKAGE = os.path.join(str(pathlib.Path(__file__).parents[1]), "")
_TIMES = 3


class WarningRelay(logging.Handler):
    """Sends warnings and errors of tfquarl's own code to the launcher: of each place in the code the first three.

    A node that has been asked to end sends none: that others are ending too, and take nothing more, is as it should be.
    """

    def __init__(self, sender: channel.Sender, stop: interfaces.StopSignal) -> None:
        """Stores the way to the launcher and the node's stop signal."""
        super().__init__(logging.WARNING)
        self._sender, self._stop = sender, stop
        self._times: collections.Counter[tuple[str, int]] = collections.Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one record, as Python's logging has it."""
        place = record.pathname, record.lineno
        if not record.pathname.startswith(_PACKAGE) or self._times[place] >= _TIMES or self._stop.is_set():
            return
        self._times[place] += 1
        more = "; further ones like it are in its log alone" if self._times[place] == _TIMES else ""
        self._sender.send("warning", text=f"{' '.join(record.getMessage().split())}{more}")
