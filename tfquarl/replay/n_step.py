"""Steps in, n-step windows out. The windows of an episode's end are shorter, and none crosses it.

An episode of three steps with n = 2, written o0 -(a0, r0)-> o1 -(a1, r1)-> o2 -(a2, r2)-> o3, gives

    o0 a0  r0 + gamma r1  gamma            o2     when r1 is known
    o1 a1  r1 + gamma r2  gamma or 0       o3     at the end: 0 if it terminated
    o2 a2  r2             1 or 0           o3     at the end

in the units of `transition`: discount is gamma^(k-1) for a window of k steps.

Windows are made a block at a time, so that numpy's cost for each call is shared by many of them.
"""

import math
from typing import Any

import numpy as np

from tfquarl.replay import transition


class NStepAccumulator:
    """The steps of one environment whose windows are not made yet. Rows are views of a buffer and hold until the next call."""

    def __init__(
        self, layout: transition.TransitionLayout, n_step: int, discount: float, steps_per_block: int = 1
    ) -> None:
        """Makes the buffers.

        Args:
          layout: of the rows.
          n_step: steps of a full window.
          discount: gamma, in [0, 1].
          steps_per_block: full windows that gather before `add` gives them, amid an episode; 1 gives each at once.
        """
        if n_step < 1 or not 0 <= discount <= 1:
            raise ValueError(f"n_step is {n_step} and discount {discount}; needs 1 or more, and a value in [0, 1]")
        if steps_per_block < 1:
            raise ValueError(f"steps_per_block is {steps_per_block}, needs 1 or more")
        self._layout, self._n_step = layout, n_step
        self._powers = discount ** np.arange(n_step, dtype=np.float64)
        self._capacity = steps_per_block + n_step - 1
        self._numbers = np.arange(self._capacity)
        self._rows = np.zeros((self._capacity, layout.row_size), np.float32)
        # Step t leads by the action of row t + 1 from the observation of row t to that of row t + 1.
        steps = np.zeros((self._capacity + 1, layout.action_size + layout.observation_size), np.float32)
        self._actions, self._observations = np.split(steps, [layout.action_size], axis=1)
        self._views = list(zip(steps, self._actions, self._observations))[1:]
        self._no_rows = self._rows[:0]
        self._rewards: list[float] = []
        self._is_open = False

    def start(self, observation: np.ndarray) -> np.ndarray:
        """An episode begins with `observation` [D].

        Returns:
          The full windows [M, row_size] of an episode that was broken off before; those that were still open are dropped.
        """
        rows = self.take()
        self._rewards.clear()
        self._observations[0] = observation
        self._is_open = True
        return rows

    def add(self, action: Any, reward: float, observation: np.ndarray, terminated: bool, truncated: bool) -> np.ndarray:
        """One step, from the observation last given to `observation` [D].

        Args:
          action: an index, or an action [A].
          reward: of the step.
          observation: that it led to.
          terminated: whether the episode ended in a state without value.
          truncated: whether it was broken off in a state that has one.

        Returns:
          Rows float32 [M, row_size], oldest first: a block of full windows where one is complete, and at an episode's end all windows
          that are left.

        Raises:
          NumericalError: a NaN or an infinity in the action or the observation, or a reward beyond +-1e30; the step is not taken.
          ValueError: the episode has ended, and `start` wasn't called.
        """
        if not self._is_open:
            raise ValueError("a step was added before the episode's first observation; call start() first")
        rewards = self._rewards
        num_steps = len(rewards)
        step, step_action, step_observation = self._views[num_steps]
        step_action[:] = action
        step_observation[:] = observation
        # A sum of squares is finite where all numbers are; where it overflows, the slow check decides.
        if not (math.isfinite(step.dot(step)) and abs(reward) <= transition.LARGEST_REWARD):
            transition.check_step(action, reward, observation)
        rewards.append(reward)
        if terminated or truncated:
            self._is_open = False
            return self._close(0.0 if terminated else 1.0)
        return self.take() if num_steps + 1 == self._capacity else self._no_rows

    def take(self) -> np.ndarray:
        """The full windows [M, row_size] that were not given yet, however few."""
        num_steps = len(self._rewards)
        num_full = num_steps - self._n_step + 1
        if num_full <= 0:
            return self._no_rows
        rows = self._make(num_full)
        self._observations[: self._n_step] = self._observations[num_full : num_steps + 1]
        self._actions[1 : self._n_step] = self._actions[num_full + 1 : num_steps + 1]
        del self._rewards[:num_full]
        return rows

    def _close(self, bootstrap: float) -> np.ndarray:
        num_steps = len(self._rewards)
        rows = self._make(num_steps)
        rows[max(0, num_steps - self._n_step) :, self._layout.discount] *= bootstrap
        self._rewards.clear()
        return rows

    def _make(self, num_rows: int) -> np.ndarray:
        """The windows of the first steps; those that reach beyond the last step end there."""
        num_steps, powers = len(self._rewards), self._powers
        rewards = np.zeros(num_rows + self._n_step - 1)
        rewards[:num_steps] = self._rewards
        total = rewards[:num_rows].copy()
        for i in range(1, self._n_step):
            total += powers[i] * rewards[i : i + num_rows]
        first = self._numbers[:num_rows]
        end = np.minimum(first + self._n_step, num_steps)
        rows, layout = self._rows[:num_rows], self._layout
        rows[:, layout.observation] = self._observations[:num_rows]
        rows[:, layout.action] = self._actions[1 : num_rows + 1]
        rows[:, layout.reward] = total
        rows[:, layout.discount] = powers[end - first - 1]
        rows[:, layout.next_observation] = self._observations[end]
        return rows
