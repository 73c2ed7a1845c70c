"""Policies in their environment: observations that they meet, and what they earn."""

from collections.abc import Iterator
import dataclasses
import itertools
from typing import Any

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.core import interfaces
from tfquarl.environments import registry
from tfquarl.evaluator import episodes
from tfquarl.evaluator import evaluation
from tfquarl.export import edge_model
from tfquarl.export import native_output
from tfquarl.runtime import action_selection
from tfquarl.runtime import model_runner

RANDOM_SHARE = 0.1
STRIDE = 4  # neighbouring observations are nearly the same


@dataclasses.dataclass(frozen=True)
class Task:
    """An environment by name.

    Attributes:
      name: for `environments.registry`.
      action_repeat: steps that each action is held for.
      seed: of its episodes.
    """

    name: str
    action_repeat: int = 1
    seed: int = 0

    def make(self) -> interfaces.SeedableEnvironment:
        """The environment; raises `ConfigError` and `TaskError` as the registry does."""
        return registry.make(self.name, self.seed, self.action_repeat)


@dataclasses.dataclass(frozen=True)
class Observations:
    """Observations for calibration, and others that it has not seen.

    Attributes:
      calibration: float32 [N, D].
      held_out: float32 [M, D].
      source: what they come from, for people.
    """

    calibration: np.ndarray
    held_out: np.ndarray
    source: str


def split(observations: np.ndarray, source: str) -> Observations:
    """Every fourth observation is held out, the others are for calibration."""
    is_held_out = np.arange(len(observations)) % 4 == 0
    return Observations(observations[~is_held_out], observations[is_held_out], source)


def collect(task: Task, model: bytes, count: int) -> Observations:
    """Acts with the float policy, a tenth of its actions random, and keeps every fourth observation.

    Args:
      task: where.
      model: flatbuffer with float input and output.
      count: observations for calibration; half as many, of other episodes, are held out.
    """
    environment = task.make()
    try:
        with native_output.captured():
            policy = model_runner.ModelRunner(model)
        generator = np.random.default_rng(task.seed)
        calibration, held_out = (
            np.stack(list(itertools.islice(_observations(environment, policy, generator), size)))
            for size in (count, count // 2)
        )
    finally:
        environment.close()
    source = f"{count + count // 2} observations met by the float policy in {task.name}, {RANDOM_SHARE:.0%} of its actions random"
    return Observations(calibration, held_out, source)


def play(task: Task, model: edge_model.EdgeModel, reference: bytes, num_episodes: int) -> list[dict[str, Any]]:
    """Plays the exported model and the float one on the same episodes; rows of `model_card.CardFacts.returns`.

    Args:
      task: where.
      model: exported.
      reference: float flatbuffer.
      num_episodes: of each, 1 or more.
    """
    seeds = [task.seed + 1 + i for i in range(num_episodes)]
    exported, float32 = model_runner.ModelRunner(model.model), model_runner.ModelRunner(reference)
    policies = {
        "exported": lambda observations: model.decode(exported(model.encode(observations))),
        "float32": float32,
    }
    rows = []
    for name, policy in policies.items():
        environment = task.make()
        try:
            results = episodes.play([environment], policy, seeds)
        finally:
            environment.close()
        if results is None:
            raise ValueError("episodes that nobody stops always end")
        estimate = evaluation.ReturnEstimate.of(results).to_json()
        rows.append(
            {"policy": name, "mean": estimate["mean_return"], **{k: estimate[k] for k in ("low", "high", "episodes")}}
        )
    return rows


def checked_spec(task: Task, observation_size: int, output_size: int) -> environment_spec.EnvironmentSpec:
    """The environment's boundary, if a policy of these sizes fits it.

    Raises:
      ConfigError: it doesn't.
    """
    spec = registry.spec(task.name, task.action_repeat)
    width = spec.num_actions if spec.num_actions is not None else spec.action_size
    if (spec.observation_size, width) != (observation_size, output_size):
        raise errors.ConfigError(
            f"the policy maps {observation_size} features to {output_size} outputs, {task.name} has {spec.observation_size} and "
            f"{width}; is it another task's policy?"
        )
    return spec


def _observations(
    environment: interfaces.SeedableEnvironment, policy: model_runner.ModelRunner, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Every `STRIDE`-th observation from the start of an episode on, without end."""
    observation, step = environment.reset(), 0
    while True:
        if step % STRIDE == 0:
            yield np.array(observation, np.float32)
        action = _action(environment, policy, observation, generator)
        observation, _, terminated, truncated = environment.step(action)
        step += 1
        if terminated or truncated:
            observation = environment.reset()


def _action(
    environment: interfaces.SeedableEnvironment,
    policy: model_runner.ModelRunner,
    observation: np.ndarray,
    generator: np.random.Generator,
) -> Any:
    spec = environment.spec
    if generator.random() < RANDOM_SHARE:
        if spec.num_actions is not None:
            return int(generator.integers(spec.num_actions))
        return generator.uniform(*spec.action_bounds).astype(np.float32)
    actions = action_selection.greedy(policy(observation[np.newaxis]), spec)
    return int(actions[0]) if spec.is_discrete else actions[0]
