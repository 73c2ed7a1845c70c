"""The loop of a collector whose suite steps K environments by one call."""

from typing import Any

import numpy as np

from tfquarl.collector import loop
from tfquarl.core import errors
from tfquarl.core import interfaces


class VectorLoop(loop.Loop):
    """Steps a native vector environment, each round by one batched inference.

    A round in which one of the K environments only begins its next episode counts as a step of it, too: that is how such suites count.
    """

    def __init__(self, environment: interfaces.VectorEnvironment, *args: Any, **kwargs: Any) -> None:
        """Stores its parts.

        Args:
          environment: of K.
          *args: of `Loop`, from its slot on.
          **kwargs: of `Loop`.
        """
        super().__init__(environment.num_environments, *args, **kwargs)
        self._environment = environment
        self._batch = np.zeros((len(self._sinks), environment.spec.observation_size), np.float32)

    def _begin(self) -> None:
        self._batch = self._environment.reset()
        for k, observation in enumerate(self._batch):
            self._note_start(k, observation, self._num_rounds)
        self._swap(self._num_rounds)

    def _collect(self, num_rounds: int) -> None:
        explore, explore_initially = self._exploration, self._initial_exploration
        for number in range(self._num_rounds, self._num_rounds + num_rounds):
            policy, batch = self._policy, self._batch
            actions = explore_initially(batch) if policy is None else explore(policy(batch))
            try:
                step = self._environment.step(actions)
                self._batch = step.observations
                self._take(number + 1, actions, step)
            except errors.NumericalError as error:
                # A suite that steps all of them can't begin a single one anew.
                self._note_bad_number(f"round {number + 1} of all environments", error)
                self._num_rounds = number + 1
                self._begin()
            self._num_rounds = number + 1

    def _take(self, num_rounds: int, actions: Any, step: interfaces.VectorStep) -> None:
        """Gives each environment's part of a round to its sink."""
        sinks, returns, observe = self._sinks, self._returns, self._observations.add
        begins, ends = step.begins, step.terminated | step.truncated
        rewards, terminated, truncated = step.rewards.tolist(), step.terminated.tolist(), step.truncated.tolist()
        is_plain = not begins.any()
        for k, observation in enumerate(step.observations):
            if not is_plain and begins[k]:
                self._note_start(k, observation, num_rounds)
                continue
            sinks[k].add(actions[k], rewards[k], observation, terminated[k], truncated[k])
            observe(observation)
            returns[k] += rewards[k]
        if ends.any():
            for k in ends.nonzero()[0].tolist():
                self._note_end(k, num_rounds)
            self._swap(num_rounds)
