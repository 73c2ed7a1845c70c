"""One experiment as a value: everything that a run is made of, and nothing that happens at run time."""

import dataclasses
import math

from tfquarl.agents import agent_builder
from tfquarl.collector import config as collector_config
from tfquarl.converter import conversion_worker
from tfquarl.converter import parity_gate
from tfquarl.evaluator import config as evaluator_config
from tfquarl.learner import learner_config
from tfquarl.metrics import energy as energy_lib
from tfquarl.networks import quantization_aware as quantization_aware_lib
from tfquarl.program import restarts
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.replay import replay_config

_MAX_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class EnvironmentConfig:
    """Which task.

    Attributes:
      name: 'gym:CartPole-v1', 'dm_control:walker-stand', 'gymnasium:Pendulum-v1', ...
      action_repeat: times that each action is applied; one env step is one action.
    """

    name: str
    action_repeat: int = 1

    def __post_init__(self) -> None:
        if self.action_repeat < 1:
            raise ValueError(f"action_repeat is {self.action_repeat}, needs 1 or more")


@dataclasses.dataclass(frozen=True)
class ScaleConfig:
    """How much of the machine a run takes.

    Attributes:
      num_collectors: collector processes.
      environments_per_collector: environments that each steps together, with one batched inference.
      is_vectorized: whether their suite steps them by one call, where it has code for that.
      in_process: all stations one after another in a single process: same seed, same result, steppable in a debugger.
    """

    num_collectors: int = 2
    environments_per_collector: int = 1
    is_vectorized: bool = False
    in_process: bool = False

    def __post_init__(self) -> None:
        for name in ("num_collectors", "environments_per_collector"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, needs 1 or more")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A whole run.

    Attributes:
      name: names the run directory.
      environment: the task.
      agent: the algorithm.
      replay: tables and flow control.
      learner: training.
      converter: snapshots to policies, by a quantization recipe.
      parity: what a quantized policy may differ from the float one.
      collector: collection.
      evaluator: judgement of the int8 policy, with the float one beside it.
      scale: how much of the machine it takes: collectors, and environments of each.
      energy: what the figures of energy and carbon assume.
      quantization_aware: how the policy is trained by a recipe `qat_...`; other recipes don't look at it.
      supervision: what becomes of processes that die or hang.
      num_env_steps: environment steps of all collectors (actions, however long each is held), after which the run ends.
      stop_at_return: ends the run earlier, when a confirmed mean return of the quantized policy reaches it.
      max_wall_time_sec: ends the run earlier, when it has been going for so long, its start-up and its time before a resumption included; None
        never.
      key_file: a file with the key that kept policies are signed with; None leaves them unsigned.
      final_evaluation_sec: how long the end of a run waits for the verdict on its last policy.
      seed: of everything that draws random numbers, 0 to 2^31 - 1.
    """

    name: str
    environment: EnvironmentConfig
    agent: agent_builder.AgentBuilder
    replay: replay_config.ReplayConfig
    learner: learner_config.LearnerConfig
    converter: conversion_worker.ConverterConfig
    parity: parity_gate.ParityConfig
    collector: collector_config.CollectorConfig
    evaluator: evaluator_config.EvaluatorConfig
    scale: ScaleConfig
    num_env_steps: int
    energy: energy_lib.EnergyConfig = dataclasses.field(default_factory=energy_lib.EnergyConfig)
    quantization_aware: quantization_aware_lib.QuantizationAwareConfig = dataclasses.field(
        default_factory=quantization_aware_lib.QuantizationAwareConfig
    )
    stop_at_return: float | None = None
    max_wall_time_sec: float | None = None
    key_file: str | None = None
    final_evaluation_sec: float = 120.0
    seed: int = 0
    supervision: restarts.SupervisionConfig = dataclasses.field(default_factory=restarts.SupervisionConfig)

    def __post_init__(self) -> None:
        if self.scale.is_vectorized and self.environment.action_repeat != 1:
            raise ValueError(
                f"action_repeat is {self.environment.action_repeat} and is_vectorized True: suites that step many environments by one call"
                " repeat no actions; give one of both"
            )
        if self.scale.is_vectorized and self.collector.max_episode_steps is not None:
            raise ValueError(
                f"max_episode_steps is {self.collector.max_episode_steps} and is_vectorized True: suites that step many environments by one"
                " call end episodes themselves; give one of both"
            )
        if self.num_env_steps < 1:
            raise ValueError(f"num_env_steps is {self.num_env_steps}, needs 1 or more")
        if self.stop_at_return is not None and not math.isfinite(self.stop_at_return):
            raise ValueError(
                f"stop_at_return is {self.stop_at_return}, needs a number that a return can reach, or None"
            )
        if self.max_wall_time_sec is not None and not self.max_wall_time_sec > 0:
            raise ValueError(f"max_wall_time_sec is {self.max_wall_time_sec}, needs more than 0, or None")
        if not 0 <= self.seed <= _MAX_SEED:
            raise ValueError(f"seed is {self.seed}, needs 0 to {_MAX_SEED}")
        if self.final_evaluation_sec < 0:
            raise ValueError(f"final_evaluation_sec is {self.final_evaluation_sec}, needs 0 or more")
        # Of all spaces, the plain one alone counts as printable.
        is_word = self.name and not any(character in self.name for character in "/\\ ") and self.name.isprintable()
        if not is_word or self.name in (".", ".."):
            raise ValueError(
                f"name is {self.name!r}, needs a word without spaces and slashes: it names the run directory"
            )


def quantization_of(experiment: Experiment) -> quantization_aware_lib.QuantizationAware | None:
    """How the experiment's policy is trained quantized; None where its recipe isn't one of quantization-aware training."""
    recipe = recipe_lib.from_name(experiment.converter.recipe)
    if not recipe.is_trained or recipe.widths is None:
        return None
    centers = experiment.converter.center_q_values
    return quantization_aware_lib.QuantizationAware(recipe.widths, experiment.quantization_aware, centers)


def limits_of(experiment: Experiment) -> dict[str, float | None]:
    """What a run of the experiment ends at, by name; None where it does not end at that."""
    return {
        "num_env_steps": experiment.num_env_steps,
        "stop_at_return": experiment.stop_at_return,
        "max_wall_time_sec": experiment.max_wall_time_sec,
        "max_train_steps": experiment.learner.max_train_steps,
    }
