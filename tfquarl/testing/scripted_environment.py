"""An environment whose episodes are written down, and which writes down what is done to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfquarl.core import environment_spec


class ScriptedEnvironment:
    """Plays given episodes in turn, round and round.

    The observation is [index of the episode, steps since its start]; `tape` holds every call as a tuple.
    """

    def __init__(
        self,
        episodes: Sequence[Sequence[tuple[float, str]]],
        num_actions: int | None = 2,
        name: str = "testing:scripted",
    ) -> None:
        """Takes the script.

        Args:
          episodes: for each episode its steps: the reward, and how the episode stands after it: '', 'terminated' or 'truncated'.
          num_actions: discrete actions; None makes two continuous ones in [-1, 1] and [0, 4].
          name: of the environment.
        """
        bounds: dict[str, Any] = {"num_actions": num_actions}
        if num_actions is None:
            bounds |= {"action_low": (-1.0, 0.0), "action_high": (1.0, 4.0)}
        fields = (environment_spec.ObservationField("observation", (2,), 0),)
        self._spec = environment_spec.EnvironmentSpec(name, fields, **bounds)
        self._episodes = episodes
        self._episode = -1
        self._step = 0
        self.tape: list[tuple[Any, ...]] = []

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Its boundary."""
        return self._spec

    def seed(self, seed: int) -> None:
        """The next episode is number `seed` of the script."""
        self.tape.append(("seed", seed))
        self._episode = seed - 1

    def reset(self) -> np.ndarray:
        """Starts the next episode."""
        self.tape.append(("reset",))
        self._episode, self._step = self._episode + 1, 0
        return self._observation()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """The next step of the script."""
        self.tape.append(("step", action))
        reward, status = self._episodes[self._episode % len(self._episodes)][self._step]
        self._step += 1
        return self._observation(), reward, status == "terminated", status == "truncated"

    def render(self) -> np.ndarray:
        """A grey picture, lighter with each step."""
        return np.full((32, 48, 3), min(8 * self._step, 255), np.uint8)

    def close(self) -> None:
        """Notes that it was called."""
        self.tape.append(("close",))

    def _observation(self) -> np.ndarray:
        return np.array([self._episode % len(self._episodes), self._step], np.float32)
