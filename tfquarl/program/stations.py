"""Stations put together from an experiment and a transport. A process makes one of them; the single-process program makes all."""

import pathlib
from typing import TYPE_CHECKING

from tfquarl.core import environment_spec
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.program import archive
from tfquarl.program import experiment as experiment_lib

if TYPE_CHECKING:
    from tfquarl.collector import collection_loop
    from tfquarl.collector import policy_slot
    from tfquarl.converter import conversion_worker
    from tfquarl.evaluator import policy_evaluator
    from tfquarl.learner import learner_station
    from tfquarl.program import transport as transport_lib

# Seeds of the parts of a run are its own seed plus these, so that no two of them draw the same numbers.
_LEARNER_SEED = 0
_COLLECTOR_SEED = 1_000
_EVALUATOR_SEED = 500_000


def make_learner(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    transport: "transport_lib.Transport",
    checkpoints: pathlib.Path,
    metrics: interfaces.MetricsSink,
) -> "learner_station.LearnerStation":
    """The learner station; imports TensorFlow.

    Raises:
      ConfigError: the algorithm can't act in this environment.
    """
    from tfquarl.agents import agent_trainer
    from tfquarl.learner import checkpointing
    from tfquarl.learner import learner_station
    from tfquarl.learner import policy_learner
    from tfquarl.learner import snapshot_trigger

    config = experiment.learner
    quantization = experiment_lib.quantization_of(experiment)
    trainer = agent_trainer.AgentTrainer(experiment.agent, spec, experiment.seed + _LEARNER_SEED, quantization)
    dataset = transport.batches(config.batch_size)
    learner = policy_learner.PolicyLearner(trainer, dataset, config, transport.priorities())
    trigger = snapshot_trigger.SnapshotTrigger(
        trainer.policy_variables, transport.snapshot_sink(), config, ranges=trainer.activation_ranges
    )
    shapes = checkpointing.variable_shapes(trainer.agent)
    checkpoint_objects = {"agent": trainer.agent, "statistics": learner.statistics, "trigger": trigger}
    kept = checkpointing.Checkpointing(checkpoints, checkpoint_objects, shapes, config.max_checkpoints)
    return learner_station.LearnerStation(learner, trigger, kept, metrics, config)


def make_converter(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    transport: "transport_lib.Transport",
    metrics: interfaces.MetricsSink,
) -> "conversion_worker.ConversionWorker":
    """The conversion station.

    Raises:
      ConfigError: there is no such recipe.
    """
    from tfquarl.converter import conversion_worker
    from tfquarl.converter import parity_gate
    from tfquarl.converter import policy_converter
    from tfquarl.quantization import recipe as recipe_lib

    config = experiment.converter
    architecture = experiment.agent.architecture(spec)
    scales = experiment.learner.scale_observations or config.scales_by_spread
    converter = policy_converter.PolicyConverter(architecture, recipe_lib.from_name(config.recipe), scales)
    float_converter = policy_converter.PolicyConverter(architecture, recipe_lib.float32(), scales)
    return conversion_worker.ConversionWorker(
        transport.snapshot_source(),
        transport.observation_source(config.num_recent_observations),
        converter,
        float_converter,
        parity_gate.ParityGate(experiment.parity),
        transport.policy_sink(),
        transport.evaluation_sink(),
        metrics,
        spec,
        config,
    )


def collector_seed(experiment: experiment_lib.Experiment, index: int) -> int:
    """Decides the random numbers of collector `index`."""
    return experiment.seed + _COLLECTOR_SEED * (index + 1)


def make_collector(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    transport: "transport_lib.Transport",
    metrics: interfaces.MetricsSink,
    index: int,
) -> "tuple[collection_loop.CollectionLoop, policy_slot.PolicySlot]":
    """Collector `index`: its loop, and the slot of its policy, which looks for newer ones while it is open."""
    from tfquarl.collector import collection_loop
    from tfquarl.collector import exploration
    from tfquarl.collector import policy_slot
    from tfquarl.environments import registry

    config, scale = experiment.collector, experiment.scale
    num_environments = scale.environments_per_collector
    seed = collector_seed(experiment, index)
    task = experiment.environment
    environments = [registry.make(task.name, seed + k, task.action_repeat) for k in range(num_environments)]
    exploration_config = experiment.agent.make_exploration(index, scale.num_collectors, seed)
    slot = policy_slot.PolicySlot(
        transport.policy_source(),
        lambda artifact: make_policy(artifact, num_environments),
        config.poll_interval_sec,
        config.max_policy_age_sec,
    )
    writer = transport.transition_writer()
    loop = collection_loop.CollectionLoop(
        environments,
        slot,
        exploration.make(exploration_config, spec),
        exploration.UniformRandom(spec, seed),
        [writer.sink() for _ in environments],
        transport.observation_sink(),
        metrics,
        config,
        index,
        lambda: writer.blocked_sec,
    )
    return loop, slot


def make_evaluator(
    experiment: experiment_lib.Experiment,
    transport: "transport_lib.Transport",
    run_dir: pathlib.Path,
    metrics: interfaces.MetricsSink,
) -> "policy_evaluator.PolicyEvaluator":
    """The evaluation station, which also keeps the judged policies in the run directory."""
    from tfquarl.environments import registry
    from tfquarl.evaluator import judge as judge_lib
    from tfquarl.evaluator import policy_evaluator
    from tfquarl.publication import signature

    task = experiment.environment

    def make_environment(seed: int) -> interfaces.SeedableEnvironment:
        return registry.make(task.name, seed, task.action_repeat)

    key = None if experiment.key_file is None else signature.read_key(pathlib.Path(experiment.key_file))
    judge = judge_lib.Judge(
        make_environment, make_policy, experiment.evaluator.num_environments, experiment.seed + _EVALUATOR_SEED
    )
    return policy_evaluator.PolicyEvaluator(
        transport.evaluation_source(), judge, archive.PolicyArchive(run_dir, key=key), metrics, experiment.evaluator
    )


def make_policy(artifact: records.PolicyArtifact, batch_size: int) -> interfaces.Policy:
    """What runs an artifact on batches of `batch_size`, on one thread.

    Raises:
      ArtifactError: its bytes are no policy.
    """
    from tfquarl.runtime import interpreter

    return interpreter.PolicyInterpreter(artifact.model, batch_size)
