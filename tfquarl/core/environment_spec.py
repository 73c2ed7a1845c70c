"""What an environment's observations and actions look like, as a value that can be stored in a manifest."""

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class ObservationField:
    """One named part of a flat observation.

    Attributes:
      name: the key in the environment's dictionary observation, or 'observation' where it has just one array.
      shape: its shape before flattening (row-major); () is a scalar.
      offset: index of its first element in the flat observation.
    """

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of elements that the field takes in the flat observation."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class EnvironmentSpec:
    """The boundary of one environment: a flat float32 observation in, a discrete or a bounded continuous action out.

    Attributes:
      name: the name that makes it, e.g. 'dm_control:walker-stand' or 'gym:CartPole-v1'.
      observation_fields: the parts of the flat observation, in flattening order, without gaps.
      num_actions: number of discrete actions; None where actions are continuous.
      action_low: lower bounds [A] in the action's own units; None where actions are discrete.
      action_high: upper bounds [A]; None where actions are discrete.
      max_episode_steps: time limit in (repeated) steps after which an episode is truncated; None if unknown.
      action_repeat: steps of the environment called `name` that each action is held for.
    """

    name: str
    observation_fields: tuple[ObservationField, ...]
    num_actions: int | None = None
    action_low: tuple[float, ...] | None = None
    action_high: tuple[float, ...] | None = None
    max_episode_steps: int | None = None
    action_repeat: int = 1

    def __post_init__(self) -> None:
        offset = 0
        for field in self.observation_fields:
            if field.offset != offset:
                raise ValueError(
                    f"{self.name}: observation field '{field.name}' starts at {field.offset}, needs {offset}"
                )
            offset += field.size
        if (self.num_actions is None) == (self.action_low is None):
            raise ValueError(f"{self.name}: needs either num_actions or action_low and action_high")
        if (self.action_low is None) != (self.action_high is None):
            raise ValueError(f"{self.name}: action_low and action_high go together")
        if (
            self.action_low is not None
            and self.action_high is not None
            and not (
                len(self.action_low) == len(self.action_high)
                and all(
                    math.isfinite(low) and math.isfinite(high) and low < high
                    for low, high in zip(self.action_low, self.action_high)
                )
            )
        ):
            raise ValueError(
                f"{self.name}: action bounds must be finite with low < high, got {self.action_low}, {self.action_high}"
            )

    @property
    def observation_size(self) -> int:
        """Elements of the flat observation, D."""
        return sum(field.size for field in self.observation_fields)

    @property
    def is_discrete(self) -> bool:
        """Whether actions are indices in [0, num_actions)."""
        return self.num_actions is not None

    @property
    def action_size(self) -> int:
        """Elements that one action takes in a transition: A for continuous actions, 1 for a discrete one."""
        return 1 if self.action_low is None else len(self.action_low)

    @property
    def action_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds, float32 [A]; continuous actions only."""
        if self.action_low is None or self.action_high is None:
            raise ValueError(f"{self.name}: its actions are discrete and have no bounds")
        return np.asarray(self.action_low, np.float32), np.asarray(self.action_high, np.float32)

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON values, for manifests."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "EnvironmentSpec":
        """The spec that `to_json` wrote.

        Raises:
          KeyError, TypeError, ValueError: a value that `to_json` can't have written.
        """
        fields = tuple(ObservationField(f["name"], tuple(f["shape"]), f["offset"]) for f in value["observation_fields"])
        bounds = {key: None if value[key] is None else tuple(value[key]) for key in ("action_low", "action_high")}
        limits = {"max_episode_steps": value["max_episode_steps"], "action_repeat": value.get("action_repeat", 1)}
        return cls(value["name"], fields, value["num_actions"], **bounds, **limits)
