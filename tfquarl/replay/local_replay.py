"""The replay in memory, seeded: for the program that runs all stations in one process, where the same seed gives the same result."""

from collections import deque
from collections.abc import Mapping

import numpy as np

from tfquarl.replay import n_step as n_step_lib
from tfquarl.replay import replay_config
from tfquarl.replay import transition

_PURPOSES = ("calibration", "held_out")


class LocalReplay:
    """Ring of the newest transitions: sinks write to it, `sample` reads. Not for several threads."""

    def __init__(
        self,
        layout: transition.TransitionLayout,
        config: replay_config.ReplayConfig,
        discount: float,
        seed: int,
        n_step: int = 1,
    ) -> None:
        """Makes the ring.

        Args:
          layout: of the rows.
          config: tells size and priorities; flow control is left to who runs the stations.
          discount: gamma of the n-step sums, in [0, 1].
          seed: of the samples.
          n_step: steps over which a transition sums rewards.
        """
        self._layout, self._config, self._n_step = layout, config, n_step
        self._windows = n_step_lib.WindowMaker(layout, n_step, discount)
        self._gatherers: list[n_step_lib.StepGatherer] = []
        self._rows = np.zeros((config.max_size, layout.row_size), np.float32)
        self._priorities = np.zeros(config.max_size)
        self._num_updated = 0
        self._keys = np.zeros(config.max_size, np.uint64)
        self._num_inserted = 0
        self._seed = seed
        self._random = np.random.default_rng(seed)

    def state(self) -> dict[str, np.ndarray]:
        """All that is held, as arrays by name, for `restore`."""
        held = slice(0, self.size)
        return {
            "rows": self._rows[held],
            "priorities": self._priorities[held],
            "keys": self._keys[held],
            "num_inserted": np.array(self._num_inserted),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Holds what `state` gave, in a replay of the same size and layout; samples are drawn by new random numbers."""
        for kept, array in ((self._rows, "rows"), (self._priorities, "priorities"), (self._keys, "keys")):
            kept[: len(state[array])] = state[array]
        self._num_inserted = int(state["num_inserted"])
        self._random = np.random.default_rng((self._seed, self._num_inserted))

    @property
    def size(self) -> int:
        """Transitions held."""
        return min(self._num_inserted, len(self._rows))

    @property
    def num_inserted(self) -> int:
        """Transitions ever written."""
        return self._num_inserted

    @property
    def blocked_sec(self) -> float:
        """No time: nothing makes a writer wait here."""
        return 0.0

    def sinks(self, num_environments: int) -> list[n_step_lib.StepGatherer]:
        """New sinks, one for each of a collector's environments."""
        made = [n_step_lib.StepGatherer(self._n_step, 1, self._gather) for _ in range(num_environments)]
        self._gatherers += made
        return made

    def _gather(self) -> None:
        self.write(self._windows.make(n_step_lib.Steps(self._gatherers)))

    def write(self, rows: np.ndarray) -> None:
        """Writes rows [M, row_size]."""
        for row in rows:
            index = self._num_inserted % len(self._rows)
            self._rows[index] = row
            self._priorities[index] = self._config.initial_priority
            self._keys[index] = self._num_inserted
            self._num_inserted += 1

    def sample(self, batch_size: int) -> transition.TransitionBatch:
        """A batch of arrays, drawn with replacement, uniformly or by priority^alpha.

        Raises:
          ValueError: there are no transitions.
        """
        size = self.size
        if size == 0:
            raise ValueError("the replay is empty; write transitions before sampling")
        if self._config.priority_exponent is None:
            indices = self._random.integers(0, size, batch_size)
            probability = np.full(batch_size, 1.0 / size)
        else:
            cumulative = np.cumsum(self._priorities[:size] ** self._config.priority_exponent)
            draws = self._random.random(batch_size) * cumulative[-1]
            indices = np.minimum(np.searchsorted(cumulative, draws, side="right"), size - 1)
            probability = np.diff(cumulative, prepend=0.0)[indices] / cumulative[-1]
        return self._layout.unpack(self._rows[indices], self._keys[indices], probability)

    @property
    def num_updated(self) -> int:
        """Priorities that were given to `update`."""
        return self._num_updated

    @property
    def num_dropped(self) -> int:
        """None: there is no server that could be late."""
        return 0

    def update(self, keys: np.ndarray, priorities: np.ndarray) -> None:
        """Items `keys` uint64 [N] get `priorities` float [N]; items that are gone are passed over.

        Raises:
          NumericalError: a priority is negative, NaN or infinite; none is taken.
        """
        transition.check_priorities(priorities)
        indices = (keys % np.uint64(len(self._rows))).astype(np.int64)
        is_there = self._keys[indices] == keys
        self._priorities[indices[is_there]] = priorities[is_there]
        self._num_updated += len(keys)


class LocalObservations:
    """Tap and pool in one: an `interfaces.ObservationSink` and `ObservationSource`.

    Blocks of `observation_block` go to calibration and to parity in turn; the first two are made of every observation, so that both
    soon have some.
    """

    def __init__(self, config: replay_config.ReplayConfig, num_observations: int = 256) -> None:
        """Stores the limits; the newest `num_observations` are given for either purpose."""
        self._every = config.observation_every
        self._block = config.observation_block
        self._kept: tuple[deque[np.ndarray], ...] = (deque(maxlen=num_observations), deque(maxlen=num_observations))
        self._num_seen = 0
        self._num_kept = 0

    def state(self) -> dict[str, np.ndarray]:
        """The observations that are held, as arrays by name, for `restore`."""
        return {name: np.stack(list(kept)) for name, kept in zip(_PURPOSES, self._kept) if kept}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Holds what `state` gave."""
        for name, kept in zip(_PURPOSES, self._kept):
            kept.extend(np.array(row) for row in state.get(name, ()))
            self._num_kept += len(kept)

    def add(self, observation: np.ndarray) -> None:
        """One observation [D]; every so many are kept."""
        is_eager = self._num_kept < 2 * self._block
        if is_eager or self._num_seen % self._every == 0:
            self._kept[self._num_kept // self._block % 2].append(np.array(observation, np.float32))
            self._num_kept += 1
        self._num_seen += 1

    def calibration(self) -> np.ndarray:
        """The newest observations for calibration [N, D], N >= 1.

        Raises:
          ValueError: there are none yet.
        """
        return self._newest(0)

    def held_out(self) -> np.ndarray:
        """The newest observations for parity [M, D], M >= 1.

        Raises:
          ValueError: there are none yet.
        """
        return self._newest(1)

    def _newest(self, purpose: int) -> np.ndarray:
        if not self._kept[purpose]:
            raise ValueError("no observations yet; step environments before converting a policy")
        return np.stack(list(self._kept[purpose]))
