"""What the learner knows of the agent that it trains, and of the replay whose priorities it renews: two protocols."""

from collections.abc import Mapping
from typing import Any
from typing import Protocol

import numpy as np
import tensorflow as tf


class Trainer(Protocol):
    """An agent, seen from the learner. B is the batch size."""

    @property
    def agent(self) -> Any:
        """The trackable object that a checkpoint has to hold."""
        ...

    @property
    def train_step(self) -> tf.Variable:
        """Train steps made so far, int64 scalar; `train` counts it."""
        ...

    @property
    def policy_variables(self) -> Mapping[str, tf.Variable]:
        """The policy's variables by the names of `PolicyArchitecture.variable_shapes`."""
        ...

    def train(self, batch: Any, weights: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """One train step on a batch with importance weights [B] or None: loss, scalar, new priorities [B], clipped share, scalar.

        The last one is the share of the targets' probabilities that lay outside of the support of the agent's value distributions; None
        for agents without.
        """
        ...


class PrioritySink(Protocol):
    """Where new priorities go."""

    @property
    def num_updated(self) -> int:
        """New priorities that the replay has taken so far; those on their way there don't count."""
        ...

    @property
    def num_dropped(self) -> int:
        """New priorities so far that the replay did not take in time, or refused."""
        ...

    def update(self, keys: np.ndarray, priorities: np.ndarray) -> None:
        """Items `keys` uint64 [N] get `priorities` float [N]; items that are gone are passed over."""
        ...
