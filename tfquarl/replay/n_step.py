"""Steps in, n-step windows out. The windows of an episode's end are shorter, and none crosses it.

An episode of three steps with n = 2, written o0 -(a0, r0)-> o1 -(a1, r1)-> o2 -(a2, r2)-> o3, gives

    o0 a0  r0 + gamma r1  gamma            o2     when r1 is known
    o1 a1  r1 + gamma r2  gamma or 0       o3     at the end: 0 if it terminated
    o2 a2  r2             1 or 0           o3     at the end

in the units of `transition`: discount is gamma^(k-1) for a window of k steps.

Steps are only kept as they come. Windows are made of many at once, across the ends of episodes and for all environments of a
collector, so that numpy's cost for each call is shared by all of them.
"""

from collections.abc import Callable
from collections.abc import Iterable
import math
from typing import Any
from typing import NamedTuple

import numpy as np

from tfquarl.replay import transition


class Episode(NamedTuple):
    """The observations of one episode, or of the part of it that is here.

    Attributes:
      first: place of its first observation, which no step of it led to.
      last: place of its last one.
      bootstrap: 0 if it terminated there, else 1.
      num_windows: those that can be made: all of an episode that ended, the full ones of one that goes on or was broken off.
    """

    first: int
    last: int
    bootstrap: float
    num_windows: int


class StepGatherer:
    """Keeps the steps of one environment until windows are made of them; an `interfaces.TransitionSink`.

    Arrays are kept as they are given, without a copy.
    """

    def __init__(self, n_step: int, block_size: int, on_block: Callable[[], None]) -> None:
        """Starts empty.

        Args:
          n_step: steps of a full window.
          block_size: windows that make a block.
          on_block: called when there are that many; it should take them.
        """
        if n_step < 1 or block_size < 1:
            raise ValueError(f"n_step is {n_step} and block_size {block_size}, both need 1 or more")
        self._n_step, self._block_size, self._on_block = n_step, block_size, on_block
        # One observation more than steps for each episode.
        self._observations: list[np.ndarray] = []
        self._actions: list[Any] = []
        self._rewards: list[float] = []
        self._episodes: list[Episode] = []
        self._num_closed = 0  # windows of `_episodes`
        self._first: int | None = None  # place of the open episode's first observation
        self._block_end = 0  # observations with which the open episode completes a block

    def start(self, observation: np.ndarray) -> None:
        """An episode begins with `observation` [D]; the open windows of one that was broken off are dropped.

        Raises:
          NumericalError: a NaN or an infinity in it.
        """
        transition.check_finite("the first observation", observation)
        if self._first is not None:
            self._close(self._open_part(self._first))
        self._first = len(self._observations)
        self._observations.append(observation)
        self._plan()

    def add(self, action: Any, reward: float, observation: np.ndarray, terminated: bool, truncated: bool) -> None:
        """One step, from the observation last given, as `interfaces.TransitionSink` has it.

        Raises:
          NumericalError: a NaN or an infinity in the action or the observation, or a reward beyond +-1e30; the step is not taken.
          ValueError: the episode has ended, and `start` wasn't called.
          Exception: what `on_block` raises; the step was taken.
        """
        first = self._first
        if first is None:
            raise ValueError("a step was added before the episode's first observation; call start() first")
        if not -transition.LARGEST_REWARD <= reward <= transition.LARGEST_REWARD:
            transition.check_reward(reward)
        if type(action) is not int and not math.isfinite(action.dot(action)):
            transition.check_finite("action", action)
        if not math.isfinite(observation.dot(observation)):
            transition.check_finite("observation", observation)
        observations = self._observations
        observations.append(observation)
        self._actions.append(action)
        self._rewards.append(reward)
        if terminated or truncated:
            last = len(observations) - 1
            self._close(Episode(first, last, 0.0 if terminated else 1.0, last - first))
            self._first = None
            if self._num_closed >= self._block_size:
                self._on_block()
        elif len(observations) >= self._block_end:
            self._on_block()

    def set_block_size(self, block_size: int) -> None:
        """Windows that make a block from now on."""
        self._block_size = block_size
        self._plan()

    def give(self, steps: "Steps") -> None:
        """Moves all windows that can be made to `steps`; what the open ones need stays here too."""
        offset = len(steps.observations)
        episodes, first = self._episodes, self._first
        if first is not None:
            episodes.append(self._open_part(first))
        steps.observations += self._observations
        steps.actions += self._actions
        steps.rewards += self._rewards
        steps.episodes += [
            Episode(offset + part.first, offset + part.last, part.bootstrap, part.num_windows) for part in episodes
        ]
        # The open episode goes on from the first observation whose window could not be made.
        num_kept = 0 if first is None else len(self._observations) - first - episodes[-1].num_windows
        del self._observations[: len(self._observations) - num_kept]
        num_steps = len(self._rewards) - max(0, num_kept - 1)
        del self._actions[:num_steps], self._rewards[:num_steps]
        episodes.clear()
        self._num_closed, self._first = 0, None if first is None else 0
        self._plan()

    def _close(self, episode: Episode) -> None:
        self._episodes.append(episode)
        self._num_closed += episode.num_windows

    def _open_part(self, first: int) -> Episode:
        last = len(self._observations) - 1
        return Episode(first, last, 1.0, max(0, last - first - self._n_step + 1))

    def _plan(self) -> None:
        if self._first is not None:
            self._block_end = self._first + self._n_step + max(1, self._block_size - self._num_closed)


class Steps:
    """The steps of several gatherers, one gatherer's after another's.

    The step of an observation is as many places before it as episodes have begun up to it, since no step led to their first ones.
    """

    def __init__(self, gatherers: Iterable[StepGatherer]) -> None:
        """Takes what they give."""
        self.observations: list[np.ndarray] = []
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.episodes: list[Episode] = []
        for gatherer in gatherers:
            gatherer.give(self)


class WindowMaker:
    """Makes rows of all windows of some steps."""

    def __init__(self, layout: transition.TransitionLayout, n_step: int, discount: float) -> None:
        """Stores its settings.

        Args:
          layout: of the rows.
          n_step: steps of a full window.
          discount: gamma, in [0, 1].
        """
        if n_step < 1 or not 0 <= discount <= 1:
            raise ValueError(f"n_step is {n_step} and discount {discount}; needs 1 or more, and a value in [0, 1]")
        self._layout, self._n_step = layout, n_step
        self._powers = discount ** np.arange(n_step, dtype=np.float64)

    def make(self, steps: Steps) -> np.ndarray:
        """Rows float32 [M, row_size], by gatherer, each one's oldest first."""
        num_rows, layout = sum(episode.num_windows for episode in steps.episodes), self._layout
        rows = np.empty((num_rows, layout.row_size), np.float32)
        if not num_rows:
            return rows
        firsts, lasts, bootstraps, counts = (np.array(column) for column in zip(*steps.episodes))
        # A window begins at each observation of its episode from the first one on.
        begin = np.arange(num_rows) + np.repeat(firsts - np.cumsum(counts) + counts, counts)
        last = np.repeat(lasts, counts)
        end = np.minimum(begin + self._n_step, last)
        step = begin - np.repeat(np.arange(len(counts)), counts)
        observations = np.array(steps.observations, np.float32)
        rows[:, layout.observation] = observations[begin]
        rows[:, layout.next_observation] = observations[end]
        rows[:, layout.action] = np.array(steps.actions, np.float32).reshape(-1, layout.action_size)[step]
        rows[:, layout.reward] = self._sum(np.array(steps.rewards, np.float64), step, end - begin)
        rows[:, layout.discount] = self._powers[end - begin - 1] * np.where(
            end == last, np.repeat(bootstraps, counts), 1.0
        )
        return rows

    def _sum(self, rewards: np.ndarray, step: np.ndarray, length: np.ndarray) -> np.ndarray:
        """The windows' discounted sums [M], of `length` [M] rewards from number `step` [M] on."""
        total = rewards[step]
        for i in range(1, self._n_step):
            longer = length > i
            total[longer] += self._powers[i] * rewards[step[longer] + i]
        return total
