"""Tells what a policy earns: the quantized one and, on the same episodes, the float one.

    ./bazelw run //tools:evaluate -- --policy=runs/a --episodes=100
    ./bazelw run //tools:evaluate -- --policy=runs/a/policies/12/policy.tflite --video=/tmp/cartpole.gif

A policy is a run's directory (then --version chooses one of its policies) or a .tflite file with its manifest beside it.
"""

import pathlib

from absl import flags

from tfquarl.core import files
from tfquarl.core import output_paths
from tfquarl.export import native_output
from tfquarl.program import command_line
from tfquarl.program import evaluation
from tfquarl.program import key_flag
from tfquarl.program import policy_flags

_EPISODES = flags.DEFINE_integer("episodes", 100, "Episodes of each policy.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Decides the episodes.", lower_bound=0, upper_bound=2**31 - 1)
_VIDEO = flags.DEFINE_string("video", None, "Films one episode of the policy to this .mp4 or .gif file.")
_OUTPUT = flags.DEFINE_string("output", None, "Writes the figures to this file, as JSON.")
policy_flags.define()
key_flag.define()
for module in (policy_flags, key_flag):
    flags.adopt_module_key_flags(module)  # so that --help lists them


def main() -> int:
    """Evaluates, prints a table and gives the exit code."""
    for flag in (_OUTPUT, _VIDEO):
        if flag.value:
            output_paths.check_file(flag.name, flag.value)
    if _OUTPUT.value and _VIDEO.value and pathlib.Path(_OUTPUT.value).resolve() == pathlib.Path(_VIDEO.value).resolve():
        return command_line.fail(f"--output and --video are both {_VIDEO.value}; give each a file of its own")
    policy = evaluation.open_policy(policy_flags.model_file(), key=key_flag.key(), can_render=bool(_VIDEO.value))
    if _VIDEO.value:
        with native_output.captured():
            episode = evaluation.film(policy, pathlib.Path(_VIDEO.value), _SEED.value)
        print(f"film of {episode.describe()}: {_VIDEO.value}")
    with native_output.captured():
        verdict = evaluation.judge(policy, _EPISODES.value, _SEED.value)
    print(verdict.describe())
    if _OUTPUT.value:
        files.write_json(pathlib.Path(_OUTPUT.value), verdict.to_json())
    return 0


if __name__ == "__main__":
    command_line.run(main)
