"""The transition: one packed float32 row, so that a replay item is one tensor and one copy.

    observation D | action A | reward 1 | discount 1 | next_observation D

reward is R = sum_{i<k} gamma^i r_{t+i}, discount is gamma^(k-1), or 0 after a termination, for a window of k steps. It is one
factor of gamma short of the n-step target's, because an agent multiplies by its own gamma.
"""

import dataclasses
import math
from typing import Any
from typing import NamedTuple

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors

LARGEST_REWARD = 1e30  # the sum of a hundred million of these is below float32's largest number


class TransitionBatch(NamedTuple):
    """Transitions by field, as arrays or tensors. B is the batch size.

    Attributes:
      observation: float32 [B, D].
      action: float32 [B, A]; a discrete action is its index, A is 1.
      reward: float32 [B], summed over the window.
      discount: float32 [B], what the next observation's value is multiplied by, besides one gamma.
      next_observation: float32 [B, D].
      keys: uint64 [B], names of the items, for new priorities.
      probability: float64 [B], of each item at the time it was sampled, in (0, 1].
    """

    observation: Any
    action: Any
    reward: Any
    discount: Any
    next_observation: Any
    keys: Any
    probability: Any


@dataclasses.dataclass(frozen=True)
class TransitionLayout:
    """Where the fields of a row are.

    Attributes:
      observation_size: D.
      action_size: A, 1 for a discrete action.
    """

    observation_size: int
    action_size: int

    def __post_init__(self) -> None:
        if min(self.observation_size, self.action_size) < 1:
            raise ValueError(f"sizes must be positive, got {self.observation_size} and {self.action_size}")

    @classmethod
    def from_spec(cls, spec: environment_spec.EnvironmentSpec) -> "TransitionLayout":
        """The layout for an environment's transitions."""
        return cls(spec.observation_size, spec.action_size)

    @property
    def row_size(self) -> int:
        """Elements of a row."""
        return 2 * self.observation_size + self.action_size + 2

    @property
    def observation(self) -> slice:
        """Columns of the observation."""
        return slice(0, self.observation_size)

    @property
    def action(self) -> slice:
        """Columns of the action."""
        return slice(self.observation_size, self.reward)

    @property
    def reward(self) -> int:
        """Column of the reward."""
        return self.observation_size + self.action_size

    @property
    def discount(self) -> int:
        """Column of the discount."""
        return self.reward + 1

    @property
    def next_observation(self) -> slice:
        """Columns of the next observation."""
        return slice(self.discount + 1, self.row_size)

    def unpack(self, rows: Any, keys: Any, probability: Any) -> TransitionBatch:
        """Rows [..., row_size], an array or a tensor, by field; views of an array."""
        return TransitionBatch(
            rows[..., self.observation],
            rows[..., self.action],
            rows[..., self.reward],
            rows[..., self.discount],
            rows[..., self.next_observation],
            keys,
            probability,
        )


def check_priorities(priorities: np.ndarray) -> None:
    """Checks new priorities [N] before any of them is taken.

    Raises:
      NumericalError: one is negative, NaN or infinite; with its place.
    """
    is_good = np.isfinite(priorities) & (priorities >= 0)
    if not is_good.all():
        index = int(np.flatnonzero(~is_good)[0])
        raise errors.NumericalError(
            f"priority [{index}] is {priorities[index]}, needs a finite number of 0 or more; is the loss finite?"
        )


def check_reward(reward: float) -> None:
    """Checks a reward on its way to the replay, where sums of some of them are kept as float32.

    Raises:
      NumericalError: it is NaN, infinite, or beyond +-1e30, so that a sum could be infinite.
    """
    if not -LARGEST_REWARD <= reward <= LARGEST_REWARD:
        raise errors.NumericalError(
            f"reward is {reward}, needs a number within +-{LARGEST_REWARD:g}; the step was kept out of the replay: is the "
            "environment sound?"
        )


def check_finite(name: str, value: Any) -> None:
    """Checks an observation or an action on its way to the replay.

    Args:
      name: what it is, for the message, e.g. 'observation'.
      value: a float, or a float array [N].

    Raises:
      NumericalError: there is a NaN or an infinity in it.
    """
    if isinstance(value, np.ndarray) and value.ndim:
        # One product is cheaper than a mask; where it overflows, the mask decides.
        if math.isfinite(value.dot(value)) or np.isfinite(value).all():
            return
        index = int(np.flatnonzero(~np.isfinite(value))[0])
        name, value = f"{name}[{index}]", value[index]
    elif math.isfinite(value):
        return
    raise errors.NumericalError(
        f"{name} is {value}, needs a finite number; the step was kept out of the replay: is the environment sound?"
    )
