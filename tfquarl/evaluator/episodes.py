"""Plays whole episodes, each chosen by a seed of its own, greedily."""

from collections.abc import Sequence
import dataclasses

import numpy as np

from tfquarl.core import interfaces
from tfquarl.runtime import action_selection


@dataclasses.dataclass(frozen=True)
class EpisodeResults:
    """What came of some episodes.

    Attributes:
      returns: sum of rewards of each, float64 [E], in the order of their seeds.
      lengths: steps of each, int64 [E].
    """

    returns: np.ndarray
    lengths: np.ndarray


def play(
    environments: Sequence[interfaces.SeedableEnvironment],
    policy: interfaces.Policy,
    seeds: Sequence[int],
    stop: interfaces.StopSignal | None = None,
) -> EpisodeResults | None:
    """Plays one episode for each seed.

    An episode depends on its seed and the policy alone: not on the episodes before it, nor on the environment that it is played in. So two
    policies that are given the same seeds meet the same episodes.

    Args:
      environments: K of them, with equal specs.
      policy: takes batches of K.
      seeds: one for each episode.
      stop: breaks it off, within an episode.

    Returns:
      The results; None if it was broken off.
    """
    spec = environments[0].spec
    waiting = list(enumerate(seeds))[::-1]
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds), np.int64)
    batch = np.zeros((len(environments), spec.observation_size), np.float32)
    playing: dict[int, int] = {}  # environment -> episode
    for k in range(len(environments)):
        _begin(k, environments, waiting, playing, batch)
    while playing:
        if stop is not None and stop.is_set():
            return None
        actions = action_selection.greedy(policy(batch), spec)
        for k, episode in list(playing.items()):
            action = int(actions[k]) if spec.is_discrete else actions[k]
            batch[k], reward, terminated, truncated = environments[k].step(action)
            returns[episode] += reward
            lengths[episode] += 1
            if terminated or truncated:
                del playing[k]
                _begin(k, environments, waiting, playing, batch)
    return EpisodeResults(returns, lengths)


def _begin(
    k: int,
    environments: Sequence[interfaces.SeedableEnvironment],
    waiting: list[tuple[int, int]],
    playing: dict[int, int],
    batch: np.ndarray,
) -> None:
    """Starts the next waiting episode, if there is one, in environment k."""
    if waiting:
        playing[k], seed = waiting.pop()
        environments[k].seed(seed)
        batch[k] = environments[k].reset()
