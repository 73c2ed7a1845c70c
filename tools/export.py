"""Exports a policy of a run as a bundle for edge devices, with proof that it acts there as it did here.

    ./bazelw run //tools:export -- --run_dir=runs/a --io=int8 --episodes=20 --output_dir=/tmp/walker_policy

The bundle's MODEL_CARD.md tells what the policy earns, costs and needs; docs/export_guide.md leads from it to a robot.
"""

import os
import pathlib

from absl import flags

from tfquarl.export import acting
from tfquarl.export import command
from tfquarl.export import observations_file
from tfquarl.export import run_source
from tfquarl.program import archive
from tfquarl.program import command_line
from tfquarl.program import export_flags
from tfquarl.program import key_flag

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Directory of the run; one of its policies/<version>, or a .tflite file in one, does as well."
)
_POLICY = flags.DEFINE_string("policy", "best", "Which policy of a run: 'best', 'latest' or a version.")
_RECIPE = flags.DEFINE_string("recipe", None, "Quantization recipe. Default: the one that the run trained with.")
_OBSERVATIONS = flags.DEFINE_string(
    "observations", None, "An .npz of real observations [N, D]. Default: collected by acting in the run's environment."
)
_NUM_OBSERVATIONS = flags.DEFINE_integer(
    "num_observations", 1000, "Calibration observations to collect; half as many more judge.", lower_bound=64
)
export_flags.define()
key_flag.define()
flags.adopt_module_key_flags(export_flags)  # so that --help lists them
flags.adopt_module_key_flags(key_flag)


def main() -> int:
    """Exports, and gives the exit code."""
    if not _RUN_DIR.value:
        return command_line.fail("--run_dir is needed, the directory of a run")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong comes as an exception
    given = command.parsed_flags()
    given.checked_output_dir()
    pair = archive.load_pair(_RUN_DIR.value, _POLICY.value, key_flag.key())
    policy = run_source.open_policy(pair.artifact, pair.reference_for("exports"))
    given.check_units(policy.spec)
    recipe = given.recipe(_RECIPE.value or policy.artifact.recipe)
    task = acting.Task(policy.spec.name, policy.spec.action_repeat, given.seed)
    if _OBSERVATIONS.value:
        path = pathlib.Path(_OBSERVATIONS.value)
        observations = acting.split(observations_file.read_observations(path, policy.spec.observation_size), str(path))
    else:
        command.tell_of_collecting(_NUM_OBSERVATIONS.value, task)
        observations = acting.collect(task, policy.reference.model, _NUM_OBSERVATIONS.value)
    facts = run_source.training_facts(policy, pair.model_file)
    command.tell(f"converting policy {policy.artifact.version} by every recipe")
    chosen = run_source.make_candidate(policy, recipe, observations, facts)
    return command.run(chosen, given, observations.source, task)


if __name__ == "__main__":
    command_line.run(main)
