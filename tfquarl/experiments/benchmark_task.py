"""What a benchmark runs: a task, a policy of random weights for it, and that policy by each recipe.

A random policy costs per step what a trained one of its size costs.
"""

from collections.abc import Sequence
import dataclasses
import functools

import numpy as np

from tfquarl.agents import agent_builder
from tfquarl.agents.d4pg import builder as d4pg_builder
from tfquarl.agents.dqn import builder as dqn_builder
from tfquarl.collector import config as collector_config
from tfquarl.collector import exploration
from tfquarl.converter import conversion_worker
from tfquarl.converter import parity_gate
from tfquarl.converter import policy_converter
from tfquarl.converter import reference_process
from tfquarl.core import environment_spec
from tfquarl.core import records
from tfquarl.environments import registry
from tfquarl.evaluator import config as evaluator_config
from tfquarl.learner import learner_config
from tfquarl.networks import architecture as architecture_lib
from tfquarl.program import experiment as experiment_lib
from tfquarl.quantization import recipe as recipe_lib
from tfquarl.replay import replay_config
from tfquarl.runtime import interpreter

_NUM_OBSERVATIONS = 512
_NUM_ACTIONS = 4096
# Share of random actions, and noise as a share of the action's half range: what a collector keeps for most of a run.
_EPSILON, _SIGMA = 0.1, 0.2
# As in configs/gin/agent/d4pg_3x2048.gin.
TARGET_UPDATE_TAU, TARGET_UPDATE_PERIOD = 0.02, 4
# Items and bursts of transitions as in configs/gin/base.gin.
REPLAY = replay_config.ReplayConfig(max_size=200_000, min_size_to_sample=1, rows_per_item=8, max_in_flight=384)


@dataclasses.dataclass(frozen=True)
class BenchmarkTask:
    """A task and the size of its policy.

    Attributes:
      name: of the environment.
      hidden_sizes: units of the policy's hidden layers.
    """

    name: str
    hidden_sizes: tuple[int, ...] = (256, 256, 256)

    @property
    def label(self) -> str:
        """Short name: 'gym:CartPole-v1 3x256', or '256,128' behind it where the layers differ."""
        sizes = self.hidden_sizes
        equal = len(set(sizes)) == 1
        return f"{self.name} {f'{len(sizes)}x{sizes[0]}' if equal else ','.join(map(str, sizes))}"

    @functools.cached_property
    def spec(self) -> environment_spec.EnvironmentSpec:
        """Of the environment."""
        return registry.spec(self.name)

    def agent(self) -> agent_builder.AgentBuilder:
        """Of the algorithm that fits the task's actions, with an exploration that stays as it is."""
        if self.spec.is_discrete:
            return dqn_builder.DqnBuilder(hidden_sizes=self.hidden_sizes, epsilon_start=_EPSILON, epsilon_end=_EPSILON)
        return d4pg_builder.D4pgBuilder(
            policy_hidden_sizes=self.hidden_sizes,
            critic_hidden_sizes=self.hidden_sizes,
            target_update_tau=TARGET_UPDATE_TAU,
            target_update_period=TARGET_UPDATE_PERIOD,
            sigma_min=_SIGMA,
            sigma_max=_SIGMA,
        )

    def architecture(self) -> architecture_lib.PolicyArchitecture:
        """Of the policy."""
        return self.agent().architecture(self.spec)

    def experiment(self, num_environments: int = 1, num_collectors: int = 1) -> experiment_lib.Experiment:
        """A run of the task that acts by its policy from the first step and never waits for a learner."""
        agent = self.agent()
        return experiment_lib.Experiment(
            "benchmark",
            experiment_lib.EnvironmentConfig(self.name),
            agent,
            REPLAY,
            learner_config.LearnerConfig(),
            conversion_worker.ConverterConfig(),
            parity_gate.ParityConfig(),
            collector_config.CollectorConfig(initial_collect_steps=0, max_policy_age_sec=1e6),
            evaluator_config.EvaluatorConfig(),
            experiment_lib.ScaleConfig(num_collectors=num_collectors, environments_per_collector=num_environments),
            num_env_steps=1,
        )


def make_snapshot(architecture: architecture_lib.PolicyArchitecture, seed: int = 0) -> records.PolicySnapshot:
    """Random weights that keep the values' scale from layer to layer, no scaling of observations."""
    generator = np.random.default_rng(seed)
    variables = {}
    for name, shape in architecture.variable_shapes().items():
        value = generator.standard_normal(shape).astype(np.float32)
        variables[name] = value / np.float32(np.sqrt(shape[0])) if name.endswith("/kernel") else value * np.float32(0.1)
    variables["observation_scaling/offset"][:] = 0.0
    variables["observation_scaling/scale"][:] = 1.0
    return records.PolicySnapshot(1, 0, variables)


def collect_observations(name: str, count: int = _NUM_OBSERVATIONS, seed: int = 0) -> np.ndarray:
    """Observations [count, D] that uniformly random actions lead to in the environment called `name`."""
    environment = registry.make(name, seed)
    generator = np.random.default_rng(seed)
    observations = [environment.reset()]
    for action in random_actions(environment.spec, count - 1, generator):
        observation, _, terminated, truncated = environment.step(action)
        observations.append(environment.reset() if terminated or truncated else observation)
    environment.close()
    return np.stack(observations)


def random_actions(spec: environment_spec.EnvironmentSpec, count: int, generator: np.random.Generator) -> list:
    """Uniformly random actions: ints, or float32 [A] arrays."""
    if spec.num_actions is not None:
        return generator.integers(spec.num_actions, size=count).tolist()
    low, high = spec.action_bounds
    return list(generator.uniform(low, high, (count, len(low))).astype(np.float32))


def policy_actions(task: BenchmarkTask, artifact: records.PolicyArtifact, count: int = _NUM_ACTIONS) -> list:
    """The actions by which a collector with this policy steps the task's environment: ints, or float32 [A] arrays.

    They decide how long its episodes are and what its physics cost, which uniformly random ones do not tell.
    """
    environment = registry.make(task.name, seed=0)
    policy = interpreter.PolicyInterpreter(artifact.model)
    explore = exploration.make(task.agent().make_exploration(0, 1, seed=0), environment.spec)
    observation, actions = environment.reset(), []
    for _ in range(count):
        action = explore(policy(observation[np.newaxis]))[0]
        actions.append(action)
        observation, _, terminated, truncated = environment.step(action)
        if terminated or truncated:
            observation = environment.reset()
    environment.close()
    return actions


def make_artifacts(
    task: BenchmarkTask, recipes: Sequence[str], observations: np.ndarray
) -> dict[str, records.PolicyArtifact]:
    """The task's random policy by each recipe, calibrated on `observations` [N, D].

    Raises:
      ConfigError: there is no such recipe.
      ConversionError: TFLiteConverter refuses the policy.
    """
    architecture = task.architecture()
    snapshot = make_snapshot(architecture)
    reference = reference_process.ReferenceProcess()
    artifacts = {}
    try:
        for name in recipes:
            recipe = recipe_lib.from_name(name)
            converter = policy_converter.PolicyConverter(architecture, recipe, False, reference)
            model = converter.convert(snapshot, observations)
            artifacts[name] = records.PolicyArtifact(snapshot.version, 0, name, model, {})
    finally:
        reference.close()
    return artifacts
