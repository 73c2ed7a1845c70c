"""What an experiment needs of the machine, looked at before anything is made: its environment, its key, memory for its processes."""

import pathlib

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.environments import registry
from tfquarl.metrics import machine
from tfquarl.networks import architecture as architecture_lib
from tfquarl.program import gin_loading
from tfquarl.publication import signature
from tfquarl.quantization import recipe as recipe_lib

_COLLECTOR_BYTES = (
    40_000_000  # that a further collector takes of its own at least (docs/architecture.md has 33 MB for its start)
)


def check(loaded: gin_loading.LoadedExperiment) -> environment_spec.EnvironmentSpec:
    """The boundary of the experiment's environment, once all that the experiment needs is known to be there.

    Raises:
      ConfigError: the environment is unknown or does not suit the agent, nor the agent the recipe, the key can't be read, or there is too little memory; with the
        place of the binding.
      TaskError: the environment can't be made.
    """
    _check_key(loaded)
    _check_memory(loaded, machine.memory_bytes())
    return _environment_spec(loaded)


def doubts(loaded: gin_loading.LoadedExperiment, spec: environment_spec.EnvironmentSpec) -> list[str]:
    """What may not be as the user means it, though the experiment can be run: a line each."""
    lines = [f"{unused} is bound, but nothing uses it" for unused in loaded.unused]
    if spec.max_episode_steps is None:
        lines.append(
            f"{loaded.place('EnvironmentConfig', 'name')}: {spec.name} has no time limit: while a policy is in an episode that nothing else"
            " ends it is not judged, and no policy kept; give the environment a limit, as gymnasium.register does by max_episode_steps"
            " (CollectorConfig.max_episode_steps limits the episodes of collectors alone)"
        )
    return lines


def _environment_spec(loaded: gin_loading.LoadedExperiment) -> environment_spec.EnvironmentSpec:
    task, agent = loaded.experiment.environment, loaded.experiment.agent
    try:
        spec = registry.spec(task.name, task.action_repeat)
        if loaded.experiment.scale.is_vectorized:
            registry.make_vector(task.name, loaded.experiment.scale.environments_per_collector, seed=0).close()
    except (errors.ConfigError, errors.TaskError) as error:
        raise type(error)(f"{loaded.place('EnvironmentConfig', 'name')}: {error}") from error
    try:
        architecture = agent.architecture(spec)
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{loaded.place('Experiment', 'agent')}: {error}") from error
    _check_recipe(loaded, architecture)
    return spec


def _check_recipe(loaded: gin_loading.LoadedExperiment, architecture: architecture_lib.PolicyArchitecture) -> None:
    recipe = recipe_lib.from_name(loaded.experiment.converter.recipe)
    if architecture.is_categorical and not recipe.suits_categorical:
        num_atoms = loaded.place(type(loaded.experiment.agent).__name__, "num_atoms")
        raise errors.ConfigError(
            f"{loaded.place('ConverterConfig', 'recipe')}: recipe '{recipe.name}' can't have a policy of value distributions, which ends with a softmax in float32; use one"
            f" of 8 or 16 bits, as static_wi8_ai8, or {num_atoms} = 1, where it is {architecture.num_atoms}"
        )


def _check_key(loaded: gin_loading.LoadedExperiment) -> None:
    if loaded.experiment.key_file is None:
        return
    try:
        signature.read_key(pathlib.Path(loaded.experiment.key_file))
    except errors.ConfigError as error:
        raise errors.ConfigError(f"{loaded.place('Experiment', 'key_file')}: {error}") from error


def _check_memory(loaded: gin_loading.LoadedExperiment, memory_bytes: int) -> None:
    scale = loaded.experiment.scale
    needed = scale.num_collectors * _COLLECTOR_BYTES
    if memory_bytes and needed > memory_bytes and not scale.in_process:
        raise errors.ConfigError(
            f"{loaded.place('ScaleConfig', 'num_collectors')}: {scale.num_collectors:,} collectors take {needed / 1e9:,.1f} GB of memory or"
            f" more, {_COLLECTOR_BYTES / 1e6:.0f} MB each, and this machine has {memory_bytes / 1e9:,.1f} GB; give fewer, or more"
            " ScaleConfig.environments_per_collector"
        )
