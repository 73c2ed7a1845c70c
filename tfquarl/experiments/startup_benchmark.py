"""Further collectors: how soon each works, what memory it adds, and what many of them make of one machine and its Reverb server."""

from collections.abc import Sequence
import dataclasses
import functools
import pathlib
import tempfile
import time

from tfquarl.core import errors
from tfquarl.core import records
from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import node_group
from tfquarl.metrics import names
from tfquarl.metrics import plots
from tfquarl.metrics import process_usage
from tfquarl.metrics import table
from tfquarl.program import launcher as launcher_lib
from tfquarl.program import node_process
from tfquarl.program import scheduling
from tfquarl.program import stations

_MIB = 1 << 20
_REPORT_SEC = 0.5
_SETTLE_SEC = 1.0
_MANY_STEPS = 1 << 40
_GROWTH_LIMIT_SEC = 1800.0


@dataclasses.dataclass(frozen=True)
class StartupConfig:
    """What is measured.

    Attributes:
      task: a cheap one shows what stands around the environment.
      recipe: of the policy.
      num_starts: collectors whose start is timed, each beside one that works already.
      num_collectors: numbers of collectors that work together, growing, from more than `num_starts` on.
      duration_sec: that each number is measured for.
      growth_steps: environment steps of the largest number of collectors over which their memory is watched for growth.
    """

    task: benchmark_task.BenchmarkTask
    recipe: str = "static_wi8_ai8"
    num_starts: int = 3
    num_collectors: tuple[int, ...] = (8, 16, 32, 64)
    duration_sec: float = 4.0
    growth_steps: int = 1_000_000

    def __post_init__(self) -> None:
        counts = [self.num_starts, *self.num_collectors]
        if self.num_starts < 1 or sorted(set(counts)) != counts:
            raise errors.ConfigError(f"num_starts and num_collectors are {counts}, need to grow from 1 or more")


@dataclasses.dataclass(frozen=True)
class Load:
    """Some collectors at work.

    Attributes:
      num_collectors: how many.
      steps_per_sec: of all of them.
      server_cores: processor cores that the Reverb server kept busy.
      server_bytes: its memory.
      total_bytes: memory of all processes, each page counted once.
    """

    num_collectors: int
    steps_per_sec: float
    server_cores: float
    server_bytes: int
    total_bytes: int


def collect(context: node_process.NodeContext) -> None:
    """A collector's node that also tells when it has made its first environment step."""
    from tfquarl.program import transport as transport_lib

    scheduling.prefer_throughput()
    transport = transport_lib.ReverbTransport(
        context.experiment, context.spec, context.server_address, context.key, context.stop
    )
    loop, slot = stations.make_collector(context.experiment, context.spec, transport, context.sender, context.index)
    with slot:
        loop.run(1, context.stop)
        context.sender.send("first_step", moment=time.perf_counter())  # Linux has one such clock for all processes
        loop.run(_MANY_STEPS, context.stop)
    transport.close()


def publish(artifact: records.PolicyArtifact, context: node_process.NodeContext) -> None:
    """A node that publishes one policy."""
    from tfquarl.program import transport as transport_lib

    transport = transport_lib.ReverbTransport(
        context.experiment, context.spec, context.server_address, context.key, context.stop
    )
    transport.policy_sink().publish(artifact)
    context.sender.send("published")
    context.stop.wait()


def run(config: StartupConfig, plot: str | None = None) -> list[table.BenchmarkRow]:
    """The rows.

    Args:
      config: what is measured.
      plot: a PNG file for steps per second by number of collectors, or None.

    Raises:
      TfquarlError: the task, the recipe or a process that fails.
    """
    task = config.task
    observations = benchmark_task.collect_observations(task.name)
    artifact = benchmark_task.make_artifacts(task, [config.recipe], observations)[config.recipe]
    experiment = task.experiment(num_collectors=max(config.num_collectors, default=config.num_starts))
    collector = dataclasses.replace(experiment.collector, report_interval_sec=_REPORT_SEC)
    experiment = dataclasses.replace(experiment, collector=collector)
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "logs").mkdir()
        with node_group.NodeGroup(experiment, task.spec, directory) as group:
            publisher = node_process.NodeSpec("publisher", functools.partial(publish, artifact))
            group.wait_for(group.start(publisher), "published")
            return _measure(config, group, plot)


def _measure(config: StartupConfig, group: node_group.NodeGroup, plot: str | None) -> list[table.BenchmarkRow]:
    case = f"{config.task.label} {config.recipe}"
    collectors: list[launcher_lib.RunningNode] = []
    _start(group, collectors)
    group.listen(_SETTLE_SEC)
    rows = [*_start_rows(case, config, group, collectors)]
    loads = []
    for count in (config.num_starts + 1, *config.num_collectors):
        while len(collectors) < count:
            _start(group, collectors)
        loads.append(measure_load(group, collectors, config.duration_sec))
    rows += load_rows(case, loads) + _growth_rows(case, config, group, collectors)
    if plot is not None:
        counts = [float(load.num_collectors) for load in loads]
        series = {"environment steps": (counts, [load.steps_per_sec for load in loads])}
        plots.lines(series, plot, "collectors", "steps per second", case, "x")
    return rows


def _start(group: node_group.NodeGroup, collectors: list[launcher_lib.RunningNode]) -> float:
    """Starts one more collector and waits for its first step; seconds from the request to that step."""
    index = len(collectors)
    requested = time.perf_counter()
    collectors.append(group.start(node_process.NodeSpec(f"collector_{index}", collect, index)))
    return group.wait_for(collectors[-1], "first_step")["moment"] - requested


def _start_rows(
    case: str, config: StartupConfig, group: node_group.NodeGroup, collectors: list[launcher_lib.RunningNode]
) -> list[table.BenchmarkRow]:
    start_sec, added, private = [], [], []
    for _ in range(config.num_starts):
        before = process_usage.proportional_bytes(_pids_but_server(group))
        start_sec.append(_start(group, collectors))
        group.listen(_SETTLE_SEC)
        added.append((process_usage.proportional_bytes(_pids_but_server(group)) - before) / _MIB)
        pid = collectors[-1].process.pid
        assert pid is not None
        private.append(process_usage.memory(pid).private_bytes / _MIB)
    return [
        alternation.median_row(case, "from the request for a further collector to its first step", start_sec, "s"),
        alternation.median_row(case, "memory that a further collector adds", added, "MiB"),
        alternation.median_row(case, "memory that is its own alone", private, "MiB"),
    ]


def _pids_but_server(group: node_group.NodeGroup) -> list[int]:
    """The server's memory grows with the transitions in it, whoever wrote them."""
    return [pid for pid in group.pids() if pid != group.server.process.pid]


def measure_load(
    group: node_group.NodeGroup, collectors: Sequence[launcher_lib.RunningNode], duration_sec: float
) -> Load:
    """What the collectors do together, over `duration_sec` and once all have reported twice."""
    server = group.server.process.pid
    assert server is not None
    group.listen(_SETTLE_SEC)
    steps, cpu, start = _num_steps(group, collectors), process_usage.cpu_sec(server), time.perf_counter()
    group.listen(duration_sec)
    elapsed = time.perf_counter() - start
    return Load(
        len(collectors),
        (_num_steps(group, collectors) - steps) / elapsed,
        (process_usage.cpu_sec(server) - cpu) / elapsed,
        process_usage.memory(server).proportional_bytes,
        process_usage.proportional_bytes(group.pids()),
    )


def _num_steps(group: node_group.NodeGroup, collectors: Sequence[launcher_lib.RunningNode]) -> int:
    """Environment steps that the collectors have reported."""
    reports = [group.said(node, "metrics") for node in collectors]
    return sum(int(report["values"][names.ENVIRONMENT_STEPS]) for report in reports if report is not None)


def load_rows(case: str, loads: Sequence[Load]) -> list[table.BenchmarkRow]:
    """The rows of some collectors at work."""
    rows = []
    for load in loads:
        name = f"{case}, {load.num_collectors} collectors"
        rows += [
            table.BenchmarkRow(name, "steps per second, all together", load.steps_per_sec, "1/s"),
            table.BenchmarkRow(name, "cores busy with the Reverb server", load.server_cores, ""),
            table.BenchmarkRow(name, "memory of the Reverb server", load.server_bytes / _MIB, "MiB"),
            table.BenchmarkRow(name, "memory of all processes", load.total_bytes / _MIB, "MiB"),
        ]
    return rows


def _growth_rows(
    case: str, config: StartupConfig, group: node_group.NodeGroup, collectors: Sequence[launcher_lib.RunningNode]
) -> list[table.BenchmarkRow]:
    """How the collectors' own memory grows with the steps that they make together."""
    before, first_step = _private_bytes(collectors), _num_steps(group, collectors)
    end = time.perf_counter() + _GROWTH_LIMIT_SEC
    while (num_steps := _num_steps(group, collectors) - first_step) < config.growth_steps:
        if time.perf_counter() > end:
            raise errors.NodeFailedError(
                f"{case}: {num_steps:,} of {config.growth_steps:,} steps within {_GROWTH_LIMIT_SEC:g} s; look at what holds collectors up"
            )
        group.listen(config.duration_sec)
    grown = (_private_bytes(collectors) - before) / _MIB / len(collectors)
    case = f"{case}, {len(collectors)} collectors"
    return [table.BenchmarkRow(case, f"growth of a collector's own memory, {num_steps:,} steps together", grown, "MiB")]


def _private_bytes(collectors: Sequence[launcher_lib.RunningNode]) -> int:
    pids = [node.process.pid for node in collectors]
    return sum(process_usage.memory(pid).private_bytes for pid in pids if pid is not None)
