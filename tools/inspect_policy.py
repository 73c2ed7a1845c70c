"""Shows what is inside a policy and where its quantization loses: the program //tools:inspect.

    ./bazelw run //tools:inspect -- --policy=runs/a
    ./bazelw run //tools:inspect -- --policy=runs/a --collect=1000 --plots=/tmp/plots --output=/tmp/inspection.json
    ./bazelw run //tools:inspect -- --policy=runs/a/policies/12/policy.tflite --observations=seen.npz

A policy is a run's directory (then --version chooses one of its policies) or a .tflite file with its manifest beside it. The errors
of weights and layers need the float policy of the same weights, policy_float32.tflite, beside it too.
"""

import math
import os
import pathlib

from absl import flags
import numpy as np

from tfquarl.core import files
from tfquarl.core import output_paths
from tfquarl.export import acting
from tfquarl.export import histograms
from tfquarl.export import inspection
from tfquarl.export import inspection_text
from tfquarl.export import native_output
from tfquarl.export import observations_file
from tfquarl.export import run_source
from tfquarl.program import archive
from tfquarl.program import command_line
from tfquarl.program import key_flag
from tfquarl.program import policy_flags

_OBSERVATIONS = flags.DEFINE_string(
    "observations", None, "An .npz of observations [N, D] to find the layers' errors on."
)
_COLLECT = flags.DEFINE_integer("collect", None, "Observations to collect by acting, instead.", lower_bound=16)
_SEED = flags.DEFINE_integer("seed", 0, "Decides the episodes of --collect.", lower_bound=0)
_PLOTS = flags.DEFINE_string("plots", None, "Directory for weights.png and, with observations, activations.png.")
_OUTPUT = flags.DEFINE_string("output", None, "Writes all figures to this file, as JSON.")
policy_flags.define()
key_flag.define()
for module in (policy_flags, key_flag):
    flags.adopt_module_key_flags(module)  # so that --help lists them


def main() -> int:
    """Inspects, prints tables and gives the exit code."""
    if _OBSERVATIONS.value and _COLLECT.value:
        return command_line.fail("--observations and --collect exclude each other")
    if _OUTPUT.value:
        output_paths.check_file(_OUTPUT.name, _OUTPUT.value)
    if _PLOTS.value:
        output_paths.check_directory(_PLOTS.name, _PLOTS.value)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong comes as an exception
    model_file = policy_flags.model_file()
    with native_output.captured():
        found = _inspect(archive.load_pair(model_file, key=key_flag.key()))
    print(inspection_text.describe(found), end="")
    if _OUTPUT.value:
        files.write_json(pathlib.Path(_OUTPUT.value), found.to_json())
    if _PLOTS.value:
        _draw(found, pathlib.Path(_PLOTS.value))
    return 0


def _inspect(pair: archive.Pair) -> inspection.Inspection:
    if pair.reference is None and not (_OBSERVATIONS.value or _COLLECT.value or _PLOTS.value):
        return inspection.inspect_file(pair.artifact)
    reference = pair.reference_for("--observations, --collect and --plots")
    policy = run_source.open_policy(pair.artifact, reference)
    if _OBSERVATIONS.value:
        path = pathlib.Path(_OBSERVATIONS.value)
        observations = observations_file.read_observations(path, policy.architecture.observation_size)
        return inspection.inspect_policy(policy, observations, f"{len(observations)} observations of {path}")
    if _COLLECT.value:
        task = acting.Task(policy.spec.name, policy.spec.action_repeat, _SEED.value)
        gathered = acting.collect(task, reference.model, math.ceil(2 * _COLLECT.value / 3))  # gives half as many again
        observations = np.concatenate([gathered.calibration, gathered.held_out])
        return inspection.inspect_policy(policy, observations, gathered.source)
    return inspection.inspect_policy(policy)


def _draw(found: inspection.Inspection, directory: pathlib.Path) -> None:
    with files.storage_errors(f"making {directory}"):
        directory.mkdir(parents=True, exist_ok=True)
    histograms.draw_weights(found.weights, directory / "weights.png")
    if found.study is not None:
        histograms.draw_activations(found.study.values, directory / "activations.png")


if __name__ == "__main__":
    command_line.run(main)
