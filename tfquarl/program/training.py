"""The main job: an experiment in, a run directory with a judged quantized policy out."""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import dataclasses
import os
import sys
from typing import Any

from tfquarl.core import environment_spec
from tfquarl.core import errors
from tfquarl.metrics import logger
from tfquarl.metrics import names
from tfquarl.metrics import progress as progress_lib
from tfquarl.program import budget as budget_lib
from tfquarl.program import energy_monitor
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import gin_loading
from tfquarl.program import interrupts
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import layout
from tfquarl.program import node_process
from tfquarl.program import preflight
from tfquarl.program import private_network
from tfquarl.program import process_monitor
from tfquarl.program import resumption
from tfquarl.program import run_directory
from tfquarl.program import server_port
from tfquarl.program import summary as summary_lib
from tfquarl.program import supervisor as supervisor_lib

MakeNodes = Callable[[experiment_lib.ScaleConfig], list[node_process.NodeSpec]]
"""Gives every process of a run, the server first."""

_SERVER = "server"
_EXPOSED = (
    "warning: the Reverb server listens on every network interface, as --bind_address says or because this system gives no process a"
    " network of its own; whoever reaches its port can read and disturb the run, so shut it from outside (docs/threat_model.md)"
)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Attributes:
      status: why it ended.
      directory: of the run.
      summary: what summary.json holds.
      was_complete: whether nothing was left to do, so that nothing was done.
    """

    status: budget_lib.Status
    directory: run_directory.RunDirectory
    summary: Mapping[str, Any]
    was_complete: bool = False


def run(
    loaded: gin_loading.LoadedExperiment,
    root_dir: str | None,
    make_nodes: MakeNodes = layout.make_nodes,
    bind_address: str = "localhost",
    port: int = server_port.ANY,
) -> "TrainingResult":
    """Trains, and leaves a run directory that explains itself; a run that the directory holds goes on where it was.

    Args:
      loaded: the experiment and its text.
      root_dir: of the run; None makes a new one below runs/.
      make_nodes: gives the run's processes; a study may put others in their place.
      bind_address: where the run's server may be reached: 'localhost', or '0.0.0.0' for every interface.
      port: of the run's server; 0 lets it choose a free one.

    Returns:
      How it ended.

    Raises:
      TfquarlError: the experiment can't be run, or a node died; a summary that says so has been written by then.
    """
    experiment = loaded.experiment
    private = private_network.wants_loopback(bind_address)
    server_port.check_number(port)
    if not (
        private or experiment.scale.in_process
    ):  # before the directory is touched; in a network of its own every port is free
        server_port.check_free(port)
    spec = preflight.check(loaded)
    directory = run_directory.RunDirectory(root_dir or run_directory.default_path(experiment.name))
    resumption.check_place(directory)
    directory.create()
    with directory.lock(), interrupts.Interrupts() as interrupted:
        earlier = resumption.find(directory, experiment)
        if earlier is not None and earlier.status is not None and earlier.is_complete(experiment):
            return TrainingResult(earlier.status, directory, directory.read_summary(), was_complete=True)
        progress = budget_lib.Progress() if earlier is None else earlier.begin()
        directory.write_configs(loaded.given, loaded.operative)
        directory.write_versions(experiment.seed, sys.argv)
        with _Sinks(experiment, directory) as sinks:
            for doubt in preflight.doubts(loaded, spec):
                sinks.display.message(f"warning: {doubt}")
            sinks.begin(progress)
            directory.set_summary_aside()  # nothing but the run itself can fail now, and that writes another
            status = _run(experiment, spec, directory, sinks, interrupted, progress, make_nodes, private, port)
    return TrainingResult(status, directory, directory.read_summary())


class _Sinks:
    """Metrics files and the display, fed together, and the look at the processes."""

    def __init__(self, experiment: experiment_lib.Experiment, directory: run_directory.RunDirectory) -> None:
        self.metrics = logger.RunMetrics(directory.path)
        limit_sec = experiment.max_wall_time_sec
        self.display = progress_lib.ProgressDisplay(
            experiment.name,
            experiment.num_env_steps,
            max_wall_time_sec=None if limit_sec is None else limit_sec - self.metrics.elapsed_sec(),
        )
        self.energy = energy_monitor.EnergyMonitor(
            experiment.energy, directory.path, self.metrics, self.metrics.elapsed_sec
        )
        self._is_exposure_known = False
        self._monitor = process_monitor.ProcessMonitor(self.metrics, self.metrics.elapsed_sec)

    def write(self, group: str, step: int, values: Mapping[str, float]) -> None:
        self.metrics.write(group, step, values)
        self.display.update(group, step, values)

    def begin(self, progress: budget_lib.Progress) -> None:
        """Shows what the run goes on from, if it does, and keeps how often it did."""
        self.energy.begin(progress.energy)
        for collector, env_steps in progress.env_steps.items():
            self.display.update(names.collect_group(collector), env_steps, {})
        if progress.num_resumes:
            self.display.update(names.TRAIN, progress.train_steps, {})
            for verdict in progress.evaluations:
                self.display.update(names.EVAL, verdict["train_step"], _returns(verdict))
            steps = f"{progress.total_env_steps:,} env steps, {progress.train_steps:,} train steps"
            self.display.message(f"the run goes on after {steps}")
        values = {names.NUM_RESUMES: progress.num_resumes, names.PAST_VERSION: progress.past_version}
        self.write(names.RUN, progress.total_env_steps, values)

    def tick(self, processes: process_monitor.Processes | None = None) -> None:
        """Does what is due; called a few times a second, `processes` being those of the run beside this one."""
        self._monitor.sample_if_due(processes)
        self.energy.sample_if_due(processes)
        self._warn_if_exposed({} if processes is None else processes.pids())
        self.display.tick()

    def _warn_if_exposed(self, pids: Mapping[str, int]) -> None:
        """Says once, when the server is there, whether others can reach it."""
        if self._is_exposure_known or _SERVER not in pids:
            return
        with contextlib.suppress(FileNotFoundError):
            if private_network.is_shared_with(pids[_SERVER]):
                self.display.message(_EXPOSED)
            self._is_exposure_known = True

    def __enter__(self) -> "_Sinks":
        self.display.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.closing(self.metrics):
            self.display.__exit__(*error)  # type: ignore[arg-type]


def _returns(verdict: Mapping[str, Any]) -> dict[str, float]:
    """A kept verdict as the row of metrics that the evaluator wrote of it."""
    return {
        names.AVERAGE_RETURN: verdict["quantized"]["mean_return"],
        names.FLOAT32_AVERAGE_RETURN: verdict["float32"]["mean_return"],
    }


def _run(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    directory: run_directory.RunDirectory,
    sinks: _Sinks,
    interrupted: interrupts.Interrupts,
    progress: budget_lib.Progress,
    make_nodes: MakeNodes,
    private: bool,
    port: int,
) -> budget_lib.Status:
    """Runs the stations, as processes or in this one, and writes the summary however it ends."""
    budget = budget_lib.Budget(
        experiment.num_env_steps,
        experiment.stop_at_return,
        experiment.final_evaluation_sec,
        experiment.max_wall_time_sec,
        sinks.metrics.elapsed_sec(),
    )
    status = budget_lib.Status.FAILED
    reason = None
    try:
        if experiment.scale.in_process:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it would write over the display
            from tfquarl.program import in_process  # TensorFlow

            program = in_process.InProcessProgram(experiment, spec, directory, sinks, progress)
            status = program.run(budget, interrupted, sinks.tick)
        else:
            launcher = launcher_lib.LocalLauncher(
                experiment,
                spec,
                str(directory.path),
                layout.preload(experiment.environment.name, private),
                directory.key(),
            )
            nodes = make_nodes(experiment.scale)
            supervisor = supervisor_lib.Supervisor(
                launcher,
                nodes,
                budget,
                progress,
                sinks,
                interrupted,
                sinks.display,
                lambda: sinks.tick(launcher),
                experiment.supervision,
                port,
            )
            status = supervisor.run()
    except KeyboardInterrupt:
        status = budget_lib.Status.INTERRUPTED  # the third Ctrl-C
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, errors.TfquarlError) else f"{type(error).__name__}: {error}"
        raise
    finally:
        summary = summary_lib.make_summary(experiment, progress, status, reason, sinks.metrics.elapsed_sec())
        directory.write_summary({**summary, "energy": sinks.energy.summary(progress.total_env_steps)})
    return status
