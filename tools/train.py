"""Trains a policy whose data is collected by quantized copies of it.

    ./bazelw run //tools:train -- --gin_file=configs/gin/experiments/dqn_cartpole_int8.gin

Settings are gin bindings; change any of them without editing a file:

    --gin_bindings="Experiment.seed = 3" --gin_bindings="ScaleConfig.num_collectors = 4"

The same command with --root_dir goes on with a run that was interrupted or killed.

At the end the run directory holds policies/best/policy.tflite and summary.json; README.txt in it explains the rest.
"""

from absl import flags

from tfquarl.program import budget as budget_lib
from tfquarl.program import command_line
from tfquarl.program import gin_loading
from tfquarl.program import server_port
from tfquarl.program import summary as summary_lib
from tfquarl.program import training

_GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "A gin file; may be given several times, later ones win.")
_GIN_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings", [], "A binding like 'Experiment.seed = 3'; may be given several times, and wins over files."
)
_ROOT_DIR = flags.DEFINE_string(
    "root_dir", None, "The run's directory. Default: runs/<date and time>_<experiment>, below the present directory."
)
_BIND_ADDRESS = flags.DEFINE_string(
    "bind_address", "localhost", "Where the run's server may be reached: localhost, or 0.0.0.0 for every interface."
)
_PORT = flags.DEFINE_integer(
    "port", server_port.ANY, "Of the run's server, for a firewall with --bind_address=0.0.0.0; 0 for any free one."
)


def main() -> int:
    """Loads the experiment, trains, and gives the exit code."""
    if not _GIN_FILE.value:
        return command_line.fail(
            "--gin_file is needed, for example --gin_file=configs/gin/experiments/dqn_cartpole_int8.gin"
        )
    loaded = gin_loading.load(_GIN_FILE.value, _GIN_BINDINGS.value)
    result = training.run(loaded, _ROOT_DIR.value, bind_address=_BIND_ADDRESS.value, port=_PORT.value)
    if result.was_complete:
        print(f"{result.directory.path} is complete; a larger Experiment.num_env_steps or stop_at_return lets it go on")
    print(summary_lib.describe(result.summary, result.directory))
    return command_line.INTERRUPTED if result.status is budget_lib.Status.INTERRUPTED else 0


if __name__ == "__main__":
    command_line.run(main)
