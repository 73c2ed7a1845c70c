"""Policies at equal distances of training, each of which waits until it is judged: all runs of a comparison are then looked at alike."""

import collections
from collections.abc import Callable
import threading

from tfquarl.core import repeater
from tfquarl.evaluator import policy_evaluator


class SpacedPairs:
    """A `policy_evaluator.PairSource` that gives the first policy at or past each multiple of `interval_steps`, and the last one.

    with source:                # looks for newer policies in a thread of its own, also while one is judged
        ...
        source.poll()           # the next one that waits

    In a single process there is no thread: `poll` looks. A policy that waits is kept in memory, quantized and float.
    """

    def __init__(
        self,
        source: policy_evaluator.PairSource,
        interval_steps: int,
        poll_interval_sec: float,
        is_trained: Callable[[], bool],
        past_step: int | None = None,
    ) -> None:
        """Stores its parts.

        Args:
          source: of the newest policy; used by one thread at a time.
          interval_steps: train steps from one multiple to the next.
          poll_interval_sec: seconds between looks at the source.
          is_trained: whether training has ended: then the newest policy is given too.
          past_step: train step of the last policy that an earlier evaluator of the run judged; None if there was none.
        """
        self._source = source
        self._interval_steps = interval_steps
        self._is_trained = is_trained
        self._next_step = 0 if past_step is None else self._multiple_after(past_step)
        self._waiting: collections.deque[policy_evaluator.Pair | Exception] = collections.deque()
        self._newest: policy_evaluator.Pair | None = None  # that is at no multiple
        self._lock = threading.Lock()
        self._looks = repeater.Repeater(self._look, poll_interval_sec, "spaced-pairs")

    def poll(self) -> policy_evaluator.Pair | None:
        """The next policy that waits; None if there is none.

        Raises:
          ArtifactError: its published bytes do not verify.
          Exception: what else the source raised.
        """
        if not self._looks.is_open:
            self._look()
        with self._lock:
            if self._waiting:
                following = self._waiting.popleft()
            elif self._is_trained():
                following, self._newest = self._newest, None
            else:
                return None
        if isinstance(following, Exception):
            raise following
        return following

    def __enter__(self) -> "SpacedPairs":
        """Starts to look for policies in a thread."""
        self._looks.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the thread."""
        self._looks.__exit__(*exception)

    def _look(self) -> None:
        try:
            pair = self._source.poll()
        except Exception as error:  # `poll` raises it in the evaluator's thread
            with self._lock:
                self._waiting.append(error)
            return
        if pair is None:
            return
        train_step = pair[0].train_step
        with self._lock:
            if train_step < self._next_step:
                self._newest = pair
                return
            self._waiting.append(pair)
            self._newest = None
            self._next_step = self._multiple_after(train_step)

    def _multiple_after(self, train_step: int) -> int:
        return (train_step // self._interval_steps + 1) * self._interval_steps
