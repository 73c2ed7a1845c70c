"""Tells what a policy earns: the quantized one and, on the same episodes, the float one.

    ./bazelw run //tools:evaluate -- --policy=runs/a --episodes=100
    ./bazelw run //tools:evaluate -- --policy=runs/a/policies/12/policy.tflite --video=/tmp/cartpole.gif

A policy is a run's directory (then --version chooses one of its policies) or a .tflite file with its manifest beside it.
"""

import pathlib

from absl import flags

from tfquarl.core import files
from tfquarl.program import command_line
from tfquarl.program import evaluation
from tfquarl.program import key_flag

_POLICY = flags.DEFINE_string("policy", None, "A run's directory, one of its policies/<version>, or a .tflite file.")
_VERSION = flags.DEFINE_string("version", "best", "Which policy of a run: 'best', 'latest' or a number.")
_EPISODES = flags.DEFINE_integer("episodes", 100, "Episodes of each policy.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Decides the episodes.", lower_bound=0)
_VIDEO = flags.DEFINE_string("video", None, "Films one episode of the policy to this .mp4 or .gif file.")
_OUTPUT = flags.DEFINE_string("output", None, "Writes the figures to this file, as JSON.")
key_flag.define()
flags.adopt_module_key_flags(key_flag)  # so that --help lists it


def main() -> int:
    """Evaluates, prints a table and gives the exit code."""
    if not _POLICY.value:
        return command_line.fail("--policy is needed: a run's directory or a .tflite file")
    output = pathlib.Path(_OUTPUT.value).absolute() if _OUTPUT.value else None
    if output is not None and not output.parent.is_dir():
        return command_line.fail(f"--output={output}: there is no directory {output.parent}")
    policy = evaluation.open_policy(_POLICY.value, _VERSION.value, key_flag.key())
    if _VIDEO.value:
        earned = evaluation.film(policy, pathlib.Path(_VIDEO.value), _SEED.value)
        print(f"film of an episode with return {earned:.1f}: {_VIDEO.value}")
    verdict = evaluation.judge(policy, _EPISODES.value, _SEED.value)
    print(verdict.describe())
    if output is not None:
        files.write_json(output, verdict.to_json())
    return 0


if __name__ == "__main__":
    command_line.run(main)
