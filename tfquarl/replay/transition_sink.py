"""Where the steps of one environment enter the replay: bad numbers are refused, the rest becomes n-step windows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfquarl.replay import n_step
from tfquarl.replay import transition


class TransitionSink:
    """One environment's `interfaces.TransitionSink`."""

    def __init__(self, accumulator: n_step.NStepAccumulator, write: Callable[[np.ndarray], None]) -> None:
        """Stores the parts; `write` takes rows [M, row_size]."""
        self._accumulator = accumulator
        self._write = write

    def start(self, observation: np.ndarray) -> None:
        """An episode begins with `observation` [D].

        Raises:
          NumericalError: a NaN or an infinity in it.
          RemoteTimeoutError: the replay's server was silent for too long.
        """
        transition.check_finite("the first observation", observation)
        self._write(self._accumulator.start(observation))

    def add(self, action: Any, reward: float, observation: np.ndarray, terminated: bool, truncated: bool) -> None:
        """One step, as `interfaces.TransitionSink` has it.

        Raises:
          NumericalError: a NaN or an infinity in the action or the observation, or a reward beyond +-1e30; the step is not taken.
          RemoteTimeoutError: the replay's server was silent for too long.
          ValueError: the episode has ended, and `start` wasn't called.
        """
        rows = self._accumulator.add(action, reward, observation, terminated, truncated)
        if len(rows):
            self._write(rows)

    def flush(self) -> None:
        """Writes the full windows that are gathered here; those still open stay.

        Raises:
          RemoteTimeoutError: the replay's server was silent for too long.
        """
        self._write(self._accumulator.take())
