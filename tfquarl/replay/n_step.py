"""Steps in, n-step windows out. The windows of an episode's end are shorter, and none crosses it.

An episode of three steps with n = 2, written o0 -(a0, r0)-> o1 -(a1, r1)-> o2 -(a2, r2)-> o3, gives

    o0 a0  r0 + gamma r1  gamma            o2     when r1 is known
    o1 a1  r1 + gamma r2  gamma or 0       o3     at the end: 0 if it terminated
    o2 a2  r2             1 or 0           o3     at the end

in the units of `transition`: discount is gamma^(k-1) for a window of k steps.
"""

from typing import Any

import numpy as np

from tfquarl.replay import transition


class NStepAccumulator:
    """The open windows of one environment. Rows are views of a buffer and hold until the next call."""

    def __init__(self, layout: transition.TransitionLayout, n_step: int, discount: float) -> None:
        """Makes the buffers.

        Args:
          layout: of the rows.
          n_step: steps of a full window.
          discount: gamma, in [0, 1].
        """
        if n_step < 1 or not 0 <= discount <= 1:
            raise ValueError(f"n_step is {n_step} and discount {discount}; needs 1 or more, and a value in [0, 1]")
        self._n_step = n_step
        self._powers = [discount**i for i in range(n_step)]
        self._reward, self._discount = layout.reward, layout.discount
        # One slot more than open windows: the row last given away is not yet written to by the next window.
        self._num_slots = n_step + 1
        self._rows = np.zeros((self._num_slots, layout.row_size), np.float32)
        self._observations = [row[layout.observation] for row in self._rows]
        self._actions = [row[layout.action] for row in self._rows]
        self._next_observations = [row[layout.next_observation] for row in self._rows]
        self._single = [self._rows[i : i + 1] for i in range(self._num_slots)]
        self._none = self._rows[:0]
        self._rewards: list[float] = []
        self._slot = 0
        self._is_open = False

    def start(self, observation: np.ndarray) -> None:
        """An episode begins with `observation` [D]; windows of an episode that was broken off are dropped."""
        self._rewards.clear()
        self._observations[self._slot][:] = observation
        self._is_open = True

    def add(self, action: Any, reward: float, observation: np.ndarray, terminated: bool, truncated: bool) -> np.ndarray:
        """One step, from the observation last given to `observation` [D].

        Args:
          action: an index, or an action [A].
          reward: of the step.
          observation: that it led to.
          terminated: whether the episode ended in a state without value.
          truncated: whether it was broken off in a state that has one.

        Returns:
          The rows that this step completes, float32 [M, row_size], oldest first: M is 0 or 1, and up to n at an episode's end.

        Raises:
          ValueError: the episode has ended, and `start` wasn't called.
        """
        if not self._is_open:
            raise ValueError("a step was added before the episode's first observation; call start() first")
        slot = self._slot
        self._actions[slot][:] = action
        rewards = self._rewards
        rewards.append(float(reward))
        self._slot = following = slot + 1 if slot < self._n_step else 0
        if terminated or truncated:
            self._is_open = False
            return self._close(following, observation, 0.0 if terminated else 1.0)
        self._observations[following][:] = observation
        if len(rewards) < self._n_step:
            return self._none
        first = (following - self._n_step) % self._num_slots
        self._complete(first, rewards, 1.0, observation)
        del rewards[0]
        return self._single[first]

    def _close(self, following: int, observation: np.ndarray, bootstrap: float) -> np.ndarray:
        num_open = len(self._rewards)
        slots = [(following - num_open + i) % self._num_slots for i in range(num_open)]
        for i, slot in enumerate(slots):
            self._complete(slot, self._rewards[i:], bootstrap, observation)
        self._rewards.clear()
        return self._rows[slots]

    def _complete(self, slot: int, rewards: list[float], bootstrap: float, observation: np.ndarray) -> None:
        row = self._rows[slot]
        powers = self._powers
        total = rewards[0]
        for i in range(1, len(rewards)):
            total += powers[i] * rewards[i]
        row[self._reward] = total
        row[self._discount] = powers[len(rewards) - 1] * bootstrap
        self._next_observations[slot][:] = observation
