"""What stations know of one another: protocols of one to four methods.

A station takes these by its constructor and never asks which class stands behind them. D is the observation size, A the
action size, K the number of environments that a collector steps together.
"""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import records


class Environment(Protocol):
    """One task, stepped by hand.

    observation = environment.reset()
    while not (terminated or truncated):
        observation, reward, terminated, truncated = environment.step(action)
    """

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Its boundary."""
        ...

    def reset(self) -> np.ndarray:
        """Starts an episode; the first observation, float32 [D], not written to again by the environment."""
        ...

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        """One step by an int or a float32 [A] action: observation [D], not written to again, reward, terminated, truncated."""
        ...

    def render(self) -> np.ndarray:
        """A picture of the present state, uint8 [height, width, 3]."""
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...


class SeedableEnvironment(Environment, Protocol):
    """An environment whose next episode can be chosen, so that two policies meet the same ones."""

    def seed(self, seed: int) -> None:
        """Makes the next episode, and those after it, depend on `seed` and the actions alone."""
        ...


class VectorStep(NamedTuple):
    """One step of K environments at once.

    Attributes:
      observations: that the step led to, float32 [K, D], a new array.
      rewards: float [K].
      terminated: bool [K].
      truncated: bool [K].
      begins: bool [K]: where an episode ended in the step before, the observation is the next one's first, and nothing else counts.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    begins: np.ndarray


class VectorEnvironment(Protocol):
    """K copies of one task that their suite steps by one call."""

    @property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Of each of them."""
        ...

    @property
    def num_environments(self) -> int:
        """K."""
        ...

    def reset(self) -> np.ndarray:
        """Starts an episode in all of them; the first observations, float32 [K, D], a new array."""
        ...

    def step(self, actions: list[int] | np.ndarray) -> VectorStep:
        """One step by actions, ints [K] or float32 [K, A]."""
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...


class Policy(Protocol):
    """Batched inference: float32 observations [K, D] to float32 outputs (q_values [K, num_actions] or actions [K, A])."""

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Outputs of the present batch; valid until the next call."""
        ...


class Exploration(Protocol):
    """Turns the policy's outputs into the actions that are taken. It lives in the collector, never in the network."""

    def __call__(self, outputs: np.ndarray) -> list[int] | np.ndarray:
        """Actions for outputs [K, ...]: ints [K], or a new float32 [K, A] within the bounds."""
        ...


class TransitionSink(Protocol):
    """Takes the steps of one environment, in order, and keeps its arrays: nothing may write to them again."""

    def start(self, observation: np.ndarray) -> None:
        """An episode begins with `observation` [D]."""
        ...

    def add(self, action: Any, reward: float, observation: np.ndarray, terminated: bool, truncated: bool) -> None:
        """`action` in the state last given led to `reward` and `observation` [D]."""
        ...


class ObservationSink(Protocol):
    """Takes a sample of the observations that collectors meet, for calibration and parity."""

    def add(self, observation: np.ndarray) -> None:
        """One observation [D]."""
        ...


class ObservationSource(Protocol):
    """Gives recent observations for calibration and, apart from those, for parity."""

    def calibration(self) -> np.ndarray:
        """Observations [N, D], N >= 1; waits until there are any."""
        ...

    def held_out(self) -> np.ndarray:
        """Observations [M, D] that are never among the calibration ones, M >= 1; waits until there are any."""
        ...


class SnapshotSink(Protocol):
    """Where the learner puts its snapshots."""

    def newest_version(self) -> int | None:
        """The version last pushed, by an earlier learner of the run too; None if there is none."""
        ...

    def push(self, snapshot: records.PolicySnapshot) -> None:
        """Makes `snapshot` the newest one."""
        ...


class SnapshotSource(Protocol):
    """Where the converter finds the newest snapshot."""

    def poll(self) -> records.PolicySnapshot | None:
        """The newest snapshot if it is newer than the last one given, else None. Does not wait."""
        ...


class ArtifactSink(Protocol):
    """Where the converter puts its artifacts."""

    def publish(self, artifact: records.PolicyArtifact) -> None:
        """Makes `artifact` the newest one."""
        ...


class ArtifactSource(Protocol):
    """Where collectors and the evaluator find the newest artifact."""

    def poll(self) -> records.PolicyArtifact | None:
        """The newest verified artifact if it is newer than the last one given, else None. Does not wait.

        Raises:
          ArtifactError: the published bytes do not verify.
        """
        ...


class MetricsSink(Protocol):
    """Where figures go."""

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Values of `group` ('train', 'eval', 'collect/0', 'convert') at `step`, by TF-Agents' metric names."""
        ...


class StopSignal(Protocol):
    """Tells a station that it should end. `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the station should end at its next convenient moment."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds for the signal; whether it came."""
        ...
