"""What environments that change another one have in common."""

from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import interfaces


class Wrapper:
    """An environment that is another one, but for its boundary and what a subclass overrides."""

    def __init__(self, environment: interfaces.SeedableEnvironment, spec: environment_spec.EnvironmentSpec) -> None:
        """Stores both.

        Args:
          environment: the other one.
          spec: the boundary of this one.
        """
        self._environment = environment
        self._spec = spec

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Its boundary."""
        return self._spec

    def seed(self, seed: int) -> None:
        """Makes the next episode depend on `seed` alone."""
        self._environment.seed(seed)

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D]."""
        return self._environment.reset()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """The observation [D], the reward, terminated, truncated."""
        return self._environment.step(action)

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [height, width, 3]."""
        return self._environment.render()

    def close(self) -> None:
        """Closes the other environment."""
        self._environment.close()
