"""Training: this project's learner and TF-Agents' own in turns, with the machine's matrix products as the limit of both."""

import contextlib
import dataclasses
import multiprocessing.context
import os
from typing import cast

from tfquarl.agents import agent_builder
from tfquarl.agents.d4pg import builder as d4pg_builder
from tfquarl.experiments import alternation
from tfquarl.experiments import benchmark_task
from tfquarl.experiments import learner_arm
from tfquarl.experiments import stock_collector
from tfquarl.experiments import train_step_flops
from tfquarl.experiments import worker as worker_lib
from tfquarl.learner import learner_config
from tfquarl.metrics import plots
from tfquarl.metrics import statistics
from tfquarl.metrics import table
from tfquarl.networks import architecture as architecture_lib
from tfquarl.program import layout
from tfquarl.program import replay_server

_STOCK = "TF-Agents"
_PRODUCTS = "matrix products"
_WARM_UP_SEC = 0.5
# From this width on, more than one thread and bfloat16 pay, and XLA does not.
_WIDE = 1024


@dataclasses.dataclass(frozen=True)
class LearnerBenchmarkConfig:
    """What is measured.

    Attributes:
      tasks: with their policies' sizes; critics have the same.
      batch_size: of a train step.
      duration_sec: that each arm runs for on each task.
      slice_sec: of one turn.
    """

    tasks: tuple[benchmark_task.BenchmarkTask, ...]
    batch_size: int = 256
    duration_sec: float = 5.0
    slice_sec: float = 1.0

    @property
    def num_rounds(self) -> int:
        """Slices of each arm."""
        return max(1, round(self.duration_sec / self.slice_sec))


def run(config: LearnerBenchmarkConfig, plot: str | None = None) -> list[table.BenchmarkRow]:
    """The rows of all tasks.

    Args:
      config: what is measured.
      plot: a PNG file for train steps per second, or None.

    Raises:
      TfquarlError: a task or a process that fails.
    """
    context = worker_lib.make_context(layout.preload(config.tasks[0].name))
    rows = [row for task in config.tasks for row in _measure_task(config, task, context)]
    if plot is not None:
        rates = [row for row in rows if row.metric == "train steps per second"]
        lengths = {"train steps": [row.value for row in rates]}
        plots.stacked_bars([row.case for row in rates], lengths, plot, "train steps per second", "Training")
    return rows


def step_flops(task: benchmark_task.BenchmarkTask, agent: agent_builder.AgentBuilder, batch_size: int) -> int:
    """Floating-point operations of one train step of `agent` on `task`."""
    policy = task.architecture()
    if task.spec.is_discrete:
        return train_step_flops.q_learning(policy, batch_size)
    builder = cast(d4pg_builder.D4pgBuilder, agent)
    critic = architecture_lib.PolicyArchitecture(
        policy.observation_size + policy.output_size, builder.critic_hidden_sizes, builder.num_atoms, "q_values"
    )
    return train_step_flops.actor_critic(policy, critic, batch_size)


def _agents(task: benchmark_task.BenchmarkTask) -> dict[str, agent_builder.AgentBuilder]:
    """By the type of their matrix products."""
    agent = task.agent()
    agents = {"float32": agent}
    if isinstance(agent, d4pg_builder.D4pgBuilder) and max(task.hidden_sizes) >= _WIDE:
        agents["bfloat16"] = dataclasses.replace(agent, compute_dtype="bfloat16")
    return agents


def _learner_configs(
    config: LearnerBenchmarkConfig, task: benchmark_task.BenchmarkTask
) -> dict[str, learner_config.LearnerConfig]:
    """By what is added to the arm's name."""
    if max(task.hidden_sizes) >= _WIDE:
        threads = len(os.sched_getaffinity(0))
        wide = learner_config.LearnerConfig(config.batch_size, steps_per_call=4, intra_op_threads=threads)
        return {"": wide}
    plain = learner_config.LearnerConfig(config.batch_size, steps_per_call=32)
    return {"": plain, " with XLA": dataclasses.replace(plain, jit_compile=True)}


def _measure_task(
    config: LearnerBenchmarkConfig,
    task: benchmark_task.BenchmarkTask,
    context: multiprocessing.context.ForkServerContext,
) -> list[table.BenchmarkRow]:
    cores = worker_lib.Cores.all().measured
    agents, learners = _agents(task), _learner_configs(config, task)
    plain = learners[""]
    experiment = task.experiment()
    with contextlib.ExitStack() as stack:
        arms: dict[str, worker_lib.Worker] = {}
        for dtype, agent in agents.items():
            for addition, learner in learners.items():
                # A server for each, as each fills the replay.
                server = stack.enter_context(replay_server.ReplayServer(context, experiment, task.spec))
                arms[f"{dtype}{addition}"] = worker_lib.Worker(
                    context, cores, learner_arm.make_own, experiment, agent, learner, server.address, task.name
                )
            width = max(task.hidden_sizes)
            arms[f"{_PRODUCTS} {dtype}"] = worker_lib.Worker(
                context, cores, learner_arm.MatrixProducts, config.batch_size, width, dtype, plain
            )
        server = stack.enter_context(
            replay_server.ReplayServer(context, experiment, task.spec, [stock_collector.TABLE])
        )
        arms[_STOCK] = worker_lib.Worker(
            context, cores, learner_arm.make_stock, task.name, task.hidden_sizes, plain, server.address
        )
        for arm in arms.values():
            stack.enter_context(arm)
        for arm in arms.values():
            arm.run(_WARM_UP_SEC)
        measurement = alternation.alternate(arms, config.num_rounds, config.slice_sec)
    flops = {dtype: step_flops(task, agent, config.batch_size) for dtype, agent in agents.items()}
    return make_rows(task.label, measurement, flops, list(learners))


def make_rows(
    label: str, measurement: alternation.Measurement, flops: dict[str, int], additions: list[str]
) -> list[table.BenchmarkRow]:
    """The rows of one task.

    Args:
      label: of the task.
      measurement: of all arms.
      flops: operations of a train step by the type of its matrix products.
      additions: what the names of this project's learners have behind the type.
    """
    rows = [
        alternation.median_row(f"{label} {_STOCK}", "train steps per second", measurement.rates(_STOCK), "1/s"),
        _waiting_row(f"{label} {_STOCK}", measurement, _STOCK),
    ]
    for dtype, step in flops.items():
        products = measurement.rates(f"{_PRODUCTS} {dtype}")
        giga = [1e-9 * rate for rate in products]
        rows.append(alternation.median_row(f"{label} {_PRODUCTS} {dtype}", "floating-point rate", giga, "GFLOP/s"))
        for addition in additions:
            name = f"{dtype}{addition}"
            case, rates = f"{label} {name}", measurement.rates(name)
            share = statistics.ratio_and_interval([rate * step for rate in rates], products)
            rows += [
                alternation.median_row(case, "train steps per second", rates, "1/s"),
                alternation.median_row(case, "floating-point rate", [1e-9 * rate * step for rate in rates], "GFLOP/s"),
                table.BenchmarkRow(
                    case,
                    "share of the matrix products' rate",
                    100 * share.ratio,
                    "%",
                    100 * share.low,
                    100 * share.high,
                ),
                _waiting_row(case, measurement, name),
                measurement.ratio(case, f"speed over {_STOCK}", name, _STOCK),
            ]
    return rows


def _waiting_row(case: str, measurement: alternation.Measurement, name: str) -> table.BenchmarkRow:
    shares = [100 * piece.wait_sec / piece.elapsed_sec for piece in measurement.slices(name)]
    return alternation.median_row(case, "time waiting for data", shares, "%")
