"""Stations put together from an experiment and a transport. A process makes one of them; the single-process program makes all."""

from collections.abc import Callable
import contextlib
import functools
import math
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from tfquarl.core import environment_spec
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.program import archive
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import node_process

if TYPE_CHECKING:
    from tfquarl.collector import loop as loop_lib
    from tfquarl.collector import policy_slot
    from tfquarl.converter import conversion_worker
    from tfquarl.converter import reference_process
    from tfquarl.evaluator import policy_evaluator
    from tfquarl.learner import learner_station
    from tfquarl.program import transport as transport_lib

# Seeds of a run's processes are its own seed plus these, so that no two of them draw the same numbers.
_LEARNER_SEED = 0
_COLLECTOR_SEED = 1_000
_EVALUATOR_SEED = 500_000
# A collector's seed is that of its first environment. What its other parts draw must have nothing to do with that, nor with what parts of
# a run with a neighbouring seed draw: intervals over runs take them as independent.
_EXPLORATION, _INITIAL_EXPLORATION, _FURTHER_ENVIRONMENT = 1, 2, 3


def make_learner(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    transport: "transport_lib.Transport",
    checkpoints: pathlib.Path,
    metrics: interfaces.MetricsSink,
    newest_version: int = 0,
) -> "learner_station.LearnerStation":
    """The learner station; imports TensorFlow.

    Args:
      experiment: the configuration.
      spec: of its environment.
      transport: of this process.
      checkpoints: directory of its checkpoints.
      metrics: where figures go.
      newest_version: of the snapshots that earlier learners of the run gave, as far as it is known.

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
    sink = transport.snapshot_sink()
    published = max(newest_version, sink.newest_version() or 0)
    trigger = snapshot_trigger.SnapshotTrigger(
        trainer.policy_variables, sink, config, ranges=trainer.activation_ranges, published=published
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
    reference: "reference_process.ReferenceProcess | None" = None,
) -> "conversion_worker.ConversionWorker":
    """The conversion station.

    Args:
      experiment: the configuration.
      spec: of its environment.
      transport: of this process.
      metrics: where figures go.
      reference: TFLiteConverter's process, for callers that end it themselves; None for one that ends with this process.

    Raises:
      ConfigError: there is no such recipe.
    """
    from tfquarl.converter import conversion_worker
    from tfquarl.converter import parity_gate
    from tfquarl.converter import policy_converter
    from tfquarl.converter import reference_process
    from tfquarl.converter import template_store
    from tfquarl.quantization import recipe as recipe_lib

    config = experiment.converter
    architecture = experiment.agent.architecture(spec)
    scales = experiment.learner.scale_observations or "scale_observations" in config.preparations
    reference = reference or reference_process.ReferenceProcess()  # for both: it takes seconds to start
    store = template_store.default_store() if config.keep_templates else None
    converter, float_converter = (
        policy_converter.PolicyConverter(architecture, recipe, scales, reference, store)
        for recipe in (recipe_lib.from_name(config.recipe), recipe_lib.float32())
    )
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
    start: node_process.StartPoint = node_process.BEGINNING,
) -> "tuple[loop_lib.Loop, policy_slot.PolicySlot]":
    """Collector `index`: its loop, and the slot of its policy, which looks for newer ones while it is open.

    Args:
      experiment: the configuration.
      spec: of its environment.
      transport: of this process.
      metrics: where figures go.
      index: of the collector.
      start: steps and episodes that earlier processes of the same index have made.
    """
    from tfquarl.collector import exploration
    from tfquarl.collector import policy_slot

    config, scale = experiment.collector, experiment.scale
    num_environments = scale.environments_per_collector
    seed = _go_on(collector_seed(experiment, index), start.env_steps)
    make_loop = _loop_around(experiment, seed)
    exploration_seed, initial_seed = (_seed_for(seed, purpose) for purpose in (_EXPLORATION, _INITIAL_EXPLORATION))
    exploration_config = experiment.agent.make_exploration(index, scale.num_collectors, exploration_seed)
    slot = policy_slot.PolicySlot(
        transport.policy_source(),
        lambda artifact: make_policy(artifact, num_environments),
        config.poll_interval_sec,
        config.max_policy_age_sec,
    )
    writer = transport.transition_writer()
    loop = make_loop(
        slot,
        exploration.make(exploration_config, spec, max(0, start.env_steps - config.initial_collect_steps)),
        exploration.UniformRandom(spec, initial_seed),
        writer.sinks(num_environments),
        transport.observation_sink(),
        metrics,
        config,
        index,
        lambda: writer.blocked_sec,
        look_clock=float if scale.in_process else None,  # a pause in a debugger changes nothing
        first_step=start.env_steps,
        first_episode=start.episodes,
    )
    return loop, slot


def _loop_around(experiment: experiment_lib.Experiment, seed: int) -> "Callable[..., loop_lib.Loop]":
    """The loop's class with its environments, still without the rest."""
    from tfquarl.collector import collection_loop
    from tfquarl.collector import vector_loop
    from tfquarl.environments import registry
    from tfquarl.environments import time_limit

    task, count = experiment.environment, experiment.scale.environments_per_collector
    if experiment.scale.is_vectorized:
        return functools.partial(vector_loop.VectorLoop, registry.make_vector(task.name, count, seed))
    seeds = [seed, *(_seed_for(seed, _FURTHER_ENVIRONMENT, k) for k in range(1, count))]
    environments = [registry.make(task.name, own_seed, task.action_repeat) for own_seed in seeds]
    if (max_steps := experiment.collector.max_episode_steps) is not None:
        environments = [time_limit.TimeLimit(environment, max_steps) for environment in environments]
    return functools.partial(collection_loop.CollectionLoop, environments)


def _go_on(seed: int, env_steps: int) -> int:
    """`seed` for a collector's beginning; another one where it goes on, as it would meet the same episodes again."""
    return seed if not env_steps else _seed_for(seed, env_steps)


def _seed_for(seed: int, *purpose: int) -> int:
    """A seed that depends on all of them, and shares no numbers with `seed` itself."""
    return int(np.random.SeedSequence((seed, *purpose)).generate_state(1)[0])


def make_evaluator(
    experiment: experiment_lib.Experiment,
    transport: "transport_lib.Transport",
    run_dir: pathlib.Path,
    metrics: interfaces.MetricsSink,
    is_trained: Callable[[], bool],
) -> "tuple[policy_evaluator.PolicyEvaluator, contextlib.AbstractContextManager[policy_evaluator.PairSource]]":
    """The evaluation station, which also keeps the judged policies in the run directory, and its source of policies.

    While the source is open it looks for policies at the configured distance of training, where there is one.

    Args:
      experiment: the configuration.
      transport: of this process.
      run_dir: where judged policies are kept.
      metrics: where figures go.
      is_trained: whether training has ended.
    """
    from tfquarl.environments import registry
    from tfquarl.evaluator import judge as judge_lib
    from tfquarl.evaluator import policy_evaluator
    from tfquarl.evaluator import spaced_pairs
    from tfquarl.publication import signature

    task, config = experiment.environment, experiment.evaluator

    def make_environment(seed: int) -> interfaces.SeedableEnvironment:
        return registry.make(task.name, seed, task.action_repeat)

    key = None if experiment.key_file is None else signature.read_key(pathlib.Path(experiment.key_file))
    judge = judge_lib.Judge(make_environment, make_policy, config.num_environments, experiment.seed + _EVALUATOR_SEED)
    kept = archive.PolicyArchive(run_dir, key=key)
    verdicts = kept.evaluations()
    best_return, _, best_look = max(
        (
            (verdict["quantized"]["mean_return"], verdict["version"], verdict.get("first_look", math.inf))
            for verdict in verdicts
            if verdict["confirmed"]
        ),
        default=(-math.inf, 0, math.inf),
    )
    newest_version = max(kept.versions(), default=0)
    source: policy_evaluator.PairSource = transport.evaluation_source()
    opened: contextlib.AbstractContextManager[policy_evaluator.PairSource] = contextlib.nullcontext(source)
    if config.interval_steps:
        past_step = max((verdict["train_step"] for verdict in verdicts), default=None)
        source = opened = spaced_pairs.SpacedPairs(
            source, config.interval_steps, config.poll_interval_sec, is_trained, past_step
        )
    evaluator = policy_evaluator.PolicyEvaluator(
        source, judge, kept, metrics, config, best_return, best_look, newest_version
    )
    return evaluator, opened


def make_policy(artifact: records.PolicyArtifact, batch_size: int) -> interfaces.Policy:
    """What runs an artifact on batches of `batch_size`, on one thread.

    Raises:
      ArtifactError: its bytes are no policy.
    """
    from tfquarl.runtime import interpreter

    return interpreter.PolicyInterpreter(artifact.model, batch_size)
