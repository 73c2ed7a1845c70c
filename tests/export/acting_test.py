"""Observations for calibration, and held-out ones of other episodes."""

from typing import Any

import numpy as np

from tests.export import tiny_models
from tfquarl.core import environment_spec
from tfquarl.export import acting
from tfquarl.testing import tiny_policies


class _Counter:
    """An environment whose observations are (number of the episode, step in it, 0, 0); episodes end after `length` steps."""

    def __init__(self, spec: environment_spec.EnvironmentSpec, length: int) -> None:
        self.spec, self._length, self._episode, self._step = spec, length, 0, 0

    def reset(self) -> np.ndarray:
        self._episode, self._step = self._episode + 1, 0
        return self._observation()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        self._step += 1
        return self._observation(), 0.0, self._step == self._length, False

    def close(self) -> None:
        pass

    def _observation(self) -> np.ndarray:
        return np.asarray([self._episode, self._step, 0, 0], np.float32)


class _Task(acting.Task):
    def make(self) -> Any:
        return _Counter(tiny_policies.cartpole_policy().spec, length=10)


def test_held_out_observations_are_of_other_episodes():
    model = tiny_models.convert(tiny_policies.cartpole_policy(), "float32")
    observations = acting.collect(_Task("a counter"), model, 4)
    # Every fourth of the steps 0 to 9 of episode 1, 0 to 9 of episode 2 and so on; the ones held out start anew.
    assert observations.calibration[:, :2].tolist() == [[1, 0], [1, 4], [1, 8], [2, 2]]
    assert observations.held_out[:, :2].tolist() == [[3, 0], [3, 4]]
