"""An action that a thread of its own repeats for as long as a `with` block lasts."""

from collections.abc import Callable
import threading


class Repeater:
    """Repeats an action in a daemon thread, with a pause after each; what the action raises ends the thread.

    with Repeater(look, 0.2, "looks"):
        ...
    """

    def __init__(self, action: Callable[[], object], pause_sec: float, name: str) -> None:
        """Stores its parts.

        Args:
          action: is never called twice at once.
          pause_sec: between two calls.
          name: of the thread.
        """
        self._action = action
        self._pause_sec = pause_sec
        self._name = name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether the `with` block goes on."""
        return self._thread is not None

    def __enter__(self) -> "Repeater":
        """Starts the thread, which begins with the action."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._repeat, name=self._name, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the thread, after the call that goes on."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _repeat(self) -> None:
        while not self._stop.is_set():
            self._action()
            self._stop.wait(self._pause_sec)
