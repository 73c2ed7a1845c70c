"""The weights that a run's learner kept, as it trained them: before anything was done for their conversion."""

import pathlib

import numpy as np

from tfquarl.agents import agent_trainer
from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.learner import checkpointing
from tfquarl.networks import architecture as architecture_lib
from tfquarl.networks import q_centering
from tfquarl.program import gin_loading
from tfquarl.program import run_directory


def read(
    path: str, spec: environment_spec.EnvironmentSpec
) -> tuple[architecture_lib.PolicyArchitecture, dict[str, np.ndarray]]:
    """The policy of the newest checkpoint: its architecture, and float32 arrays by name, q_values centred as the run has them.

    Args:
      path: of the run's directory.
      spec: of its environment.

    Raises:
      ConfigError: no run, or one without checkpoints.
      ArtifactError: they can't be read.
    """
    directory = run_directory.RunDirectory(pathlib.Path(path))
    if not directory.operative_config_file.exists():
        raise errors.ConfigError(f"{path} has no operative_config.gin; give a run's directory")
    experiment = gin_loading.load([str(directory.operative_config_file)]).experiment
    trainer = agent_trainer.AgentTrainer(experiment.agent, spec)
    shapes = checkpointing.variable_shapes(trainer.agent)
    if checkpointing.Checkpointing(directory.checkpoints, {"agent": trainer.agent}, shapes).restore() is None:
        raise errors.ConfigError(f"{path} has no checkpoint of its learner")
    architecture = experiment.agent.architecture(spec)
    variables = {name: variable.numpy() for name, variable in trainer.policy_variables.items()}
    if experiment.converter.center_q_values:
        variables = q_centering.center(architecture, variables)
    return architecture, variables
