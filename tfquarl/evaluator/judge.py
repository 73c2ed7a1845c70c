"""Estimates what a policy earns, on episodes that another policy can be given too."""

from collections.abc import Callable

import numpy as np

from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.evaluator import episodes
from tfquarl.evaluator import evaluation


class Judge:
    """Plays policies on numbered series of episodes; the same number means the same episodes."""

    def __init__(
        self,
        make_environment: Callable[[int], interfaces.SeedableEnvironment],
        make_policy: Callable[[records.PolicyArtifact, int], interfaces.Policy],
        num_environments: int = 1,
        seed: int = 0,
    ) -> None:
        """Stores its parts.

        Args:
          make_environment: makes the task from a seed; called when the first policy comes.
          make_policy: builds what runs an artifact, from it and the batch size.
          num_environments: environments that are stepped together, with one batched inference.
          seed: decides all series.
        """
        self._make_environment = make_environment
        self._make_policy = make_policy
        self._num_environments = num_environments
        self._seed = seed
        self._environments: list[interfaces.SeedableEnvironment] = []

    def estimate(
        self,
        artifact: records.PolicyArtifact,
        num_episodes: int,
        series: int,
        stop: interfaces.StopSignal | None = None,
    ) -> evaluation.ReturnEstimate | None:
        """What `artifact` earns on the first `num_episodes` episodes of `series`; None if `stop` broke it off.

        Raises:
          ArtifactError: it can't be run.
        """
        policy = self._make_policy(artifact, self._num_environments)
        while len(self._environments) < self._num_environments:
            self._environments.append(self._make_environment(self._seed))
        seeds = np.random.SeedSequence((self._seed, series)).generate_state(num_episodes)
        results = episodes.play(self._environments, policy, seeds.tolist(), stop)
        return None if results is None else evaluation.ReturnEstimate.of(results)

    def close(self) -> None:
        """Closes the environments."""
        while self._environments:
            self._environments.pop().close()
