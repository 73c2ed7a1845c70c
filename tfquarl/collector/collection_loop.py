"""The loop of a collector: K environments, one batched inference, exploration, a writer for each environment."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfquarl.collector import loop
from tfquarl.core import errors
from tfquarl.core import interfaces


class CollectionLoop(loop.Loop):
    """Steps K environments one after the other, each round by one batched inference."""

    def __init__(self, environments: Sequence[interfaces.Environment], *args: Any, **kwargs: Any) -> None:
        """Stores its parts.

        Args:
          environments: K of them, with equal specs.
          *args: of `Loop`, from its slot on.
          **kwargs: of `Loop`.
        """
        if not environments:
            raise ValueError("got 0 environments and needs at least one")
        spec = environments[0].spec
        for other in environments[1:]:
            if other.spec != spec:
                raise ValueError(f"environments of one collector must have equal specs, got {spec} and {other.spec}")
        super().__init__(len(environments), *args, **kwargs)
        self._environments = environments
        self._batch = np.zeros((len(environments), spec.observation_size), np.float32)

    def _begin(self) -> None:
        for k in range(len(self._environments)):
            self._begin_episode(k, self._num_rounds)

    def _collect(self, num_rounds: int) -> None:
        """What it uses at each step is bound before."""
        batch, returns = self._batch, self._returns
        steps = [environment.step for environment in self._environments]
        adds = [sink.add for sink in self._sinks]
        observe = self._observations.add
        explore, explore_initially = self._exploration, self._initial_exploration
        policy, environments = self._policy, range(len(steps))
        for number in range(self._num_rounds, self._num_rounds + num_rounds):
            actions = explore_initially(batch) if policy is None else explore(policy(batch))
            for k in environments:
                action = actions[k]
                try:
                    observation, reward, terminated, truncated = steps[k](action)
                    adds[k](action, reward, observation, terminated, truncated)
                except errors.NumericalError as error:
                    self._break_off_episode(k, number, error)
                    policy = self._policy
                    continue
                batch[k] = observation
                observe(observation)
                returns[k] += reward
                if terminated or truncated:
                    self._note_end(k, number + 1)
                    self._begin_episode(k, number + 1)
                    policy = self._policy
            self._num_rounds = number + 1

    def _break_off_episode(self, k: int, num_rounds: int, error: errors.NumericalError) -> None:
        step = num_rounds + 1 - self._first_rounds[k]
        self._note_bad_number(f"environment {k}, step {step} of its episode", error)
        self._begin_episode(k, num_rounds + 1)

    def _begin_episode(self, k: int, num_rounds: int) -> None:
        observation = self._environments[k].reset()
        self._note_start(k, observation, num_rounds)
        self._batch[k] = observation
        self._swap(num_rounds)
