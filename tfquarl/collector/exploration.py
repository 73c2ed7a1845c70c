"""How collectors explore: outside the network, in the action's own units, clipped to the environment's bounds.

With a policy, random numbers are drawn in blocks, as one at a time they would cost as much as the policy.
"""

from collections.abc import Callable
from collections.abc import Iterator
import itertools

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import exploration_config
from tfquarl.core import interfaces

_BLOCK_SIZE = 256
# Longest time that a random action is held: the tail of the distribution would fill whole episodes.
_MAX_HOLD_STEPS = 100


def make(
    config: exploration_config.ExplorationConfig, spec: environment_spec.EnvironmentSpec, first_step: int = 0
) -> interfaces.Exploration:
    """The exploration that `config` describes.

    Args:
      config: kind, schedule and seed.
      spec: of the environment.
      first_step: of the schedule, where a collector goes on that chose so many actions before.

    Raises:
      ValueError: the kind doesn't fit the environment's actions.
    """

    def strength(step: int) -> float:
        return config.strength(first_step + step)

    if config.kind == exploration_config.EPSILON_GREEDY:
        if spec.num_actions is None:
            raise ValueError(f"{spec.name}: {config.kind} needs discrete actions, this task has continuous ones")
        if config.hold_exponent is not None:
            return HeldEpsilonGreedy(strength, spec.num_actions, config.seed, config.hold_exponent)
        return EpsilonGreedy(strength, spec.num_actions, config.seed)
    return GaussianNoise(strength, *spec.action_bounds, config.seed)


class EpsilonGreedy:
    """The action of largest value, or with probability epsilon a uniformly random one."""

    def __init__(self, epsilon: Callable[[int], float], num_actions: int, seed: int) -> None:
        """Stores its settings.

        Args:
          epsilon: probability of a random action by environment step, counted from the first one it chooses the action of.
          num_actions: of the environment.
          seed: of its random numbers.
        """
        self._epsilon = epsilon
        self._num_actions = num_actions
        self._random = np.random.default_rng(seed)
        self._step = 0
        self._replacements = self._draw()
        self._next_step, self._replacement = next(self._replacements)

    def __call__(self, outputs: np.ndarray) -> list[int]:
        """Actions [K] for q_values [K, num_actions]."""
        actions = outputs.argmax(axis=1).tolist()
        first, self._step = self._step, self._step + len(actions)
        while self._next_step < self._step:
            if self._replacement is not None:
                actions[self._next_step - first] = self._replacement
            self._next_step, self._replacement = next(self._replacements)
        return actions

    def _draw(self) -> Iterator[tuple[int, int | None]]:
        """The steps whose greedy action is replaced, in order, each with the action in its place; at the end of each block a step with None."""
        for start in itertools.count(0, _BLOCK_SIZE):
            chances = self._random.random(_BLOCK_SIZE).tolist()
            actions = self._random.integers(self._num_actions, size=_BLOCK_SIZE).tolist()
            for step, chance, action in zip(itertools.count(start), chances, actions):
                if chance < self._epsilon(step):
                    yield step, action
            yield start + _BLOCK_SIZE - 1, None


class HeldEpsilonGreedy:
    """Epsilon-greedy whose random actions are held for n steps with probability in proportion to n^-mu (arXiv 2006.01782).

    An action may be held across the end of an episode.
    """

    def __init__(self, epsilon: Callable[[int], float], num_actions: int, seed: int, hold_exponent: float) -> None:
        """Stores its settings.

        Args:
          epsilon: probability that a random action begins where none is held, by environment step, counted from the first one.
          num_actions: of the environment.
          seed: of its random numbers.
          hold_exponent: mu > 1; the smaller, the longer.
        """
        self._epsilon = epsilon
        self._num_actions = num_actions
        self._random = np.random.default_rng(seed)
        self._hold_exponent = hold_exponent
        self._step = 0
        self._held: dict[int, tuple[int, int]] = {}

    def __call__(self, outputs: np.ndarray) -> list[int]:
        """Actions [K] for q_values [K, num_actions]."""
        actions = outputs.argmax(axis=1).tolist()
        for k in range(len(actions)):
            action, steps_left = self._held.get(k, (0, 0))
            if steps_left == 0 and self._random.random() < self._epsilon(self._step):
                action = int(self._random.integers(self._num_actions))
                steps_left = min(int(self._random.zipf(self._hold_exponent)), _MAX_HOLD_STEPS)
            if steps_left:
                actions[k] = action
                self._held[k] = (action, steps_left - 1)
            self._step += 1
        return actions


class GaussianNoise:
    """The policy's action plus independent Gaussian noise, clipped to the bounds."""

    def __init__(self, sigma: Callable[[int], float], low: np.ndarray, high: np.ndarray, seed: int) -> None:
        """Stores its settings.

        Args:
          sigma: standard deviation as a share of half of each action's range, by environment step, counted from the first one it chooses
            the action of.
          low: lower bounds [A] in the action's own units.
          high: upper bounds [A].
          seed: of its random numbers.
        """
        self._sigma = sigma
        self._low, self._high = np.asarray(low, np.float32), np.asarray(high, np.float32)
        self._half_range = (self._high - self._low) / 2
        self._random = np.random.default_rng(seed)
        self._noises = itertools.chain.from_iterable(self._blocks())
        self._raised = np.empty(0, np.float32)
        self._shape: tuple[int, ...] | None = None

    def __call__(self, outputs: np.ndarray) -> np.ndarray:
        """Actions float32 [K, A], a new array, for the policy's actions [K, A]. K stays that of the first call."""
        if outputs.shape != self._shape:
            self._begin(outputs)
        actions = outputs + next(self._noises)
        np.maximum(actions, self._low, self._raised)  # numpy is slow in place on a single element
        np.minimum(self._raised, self._high, actions)
        return actions

    def _begin(self, outputs: np.ndarray) -> None:
        if self._shape is not None or outputs.shape[1:] != self._low.shape:
            raise ValueError(
                f"outputs have shape {outputs.shape}, earlier ones had {self._shape}, the bounds have {self._low.shape}"
            )
        self._shape = outputs.shape
        # Bounds of the batch's own shape: numpy's broadcasting would cost as much as the clipping.
        self._low, self._high = np.tile(self._low, (len(outputs), 1)), np.tile(self._high, (len(outputs), 1))
        self._raised = np.empty_like(self._low)

    def _blocks(self) -> Iterator[np.ndarray]:
        """Noise [_BLOCK_SIZE, K, A]."""
        for first_call in itertools.count(0, _BLOCK_SIZE):
            num_environments, size = self._low.shape
            steps = range(first_call * num_environments, (first_call + _BLOCK_SIZE) * num_environments)
            sigma = np.array([self._sigma(step) for step in steps]).reshape(-1, num_environments, 1) * self._half_range
            yield (self._random.standard_normal((_BLOCK_SIZE, num_environments, size)) * sigma).astype(np.float32)


class UniformRandom:
    """Uniformly random actions, whatever the policy says; for the time before there is one."""

    def __init__(self, spec: environment_spec.EnvironmentSpec, seed: int) -> None:
        self._spec = spec
        self._random = np.random.default_rng(seed)

    def __call__(self, outputs: np.ndarray) -> list[int] | np.ndarray:
        """Actions, ints [K] or float32 [K, A], where K is the length of `outputs`, whatever they are."""
        if self._spec.num_actions is not None:
            return self._random.integers(self._spec.num_actions, size=len(outputs)).tolist()
        low, high = self._spec.action_bounds
        return self._random.uniform(low, high, (len(outputs), len(low))).astype(np.float32)
