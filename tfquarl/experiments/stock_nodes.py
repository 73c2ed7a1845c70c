"""The processes of a run whose collectors are TF-Agents' own: arm S of the study.

server       Reverb, with one more table: variables
learner      as in every run, and pushes its variables to the container whenever it gives a snapshot
converter    as in every run; it makes the float policy that the evaluator plays
collector_i  TF-Agents' PyDriver and PyTFEagerPolicy; variables come from its ReverbVariableContainer
evaluator    as in every run
"""

import time
from typing import TYPE_CHECKING
from typing import Any

from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.experiments import stock_agent
from tfquarl.experiments import stock_loop
from tfquarl.experiments import stock_policy
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import layout
from tfquarl.program import node_process
from tfquarl.program import nodes
from tfquarl.program import scheduling
from tfquarl.program import stations

if TYPE_CHECKING:
    from tfquarl.program import transport as transport_lib

# Of the released code of QuaRL, for DQN; TF-Agents' own examples pull after every step.
PULL_STEPS = 100
_STEPS_PER_RUN = 25
_MANY_STEPS = 1 << 40


def make_nodes(scale: experiment_lib.ScaleConfig) -> list[node_process.NodeSpec]:
    """Every process of such a run; as `layout.make_nodes`."""
    own = {"server": serve, "learner": learn, "collector": collect}
    specs = []
    for spec in layout.make_nodes(scale):
        run = own.get(spec.name.split("_")[0], spec.run)
        specs.append(node_process.NodeSpec(spec.name, run, spec.index))
    return specs


def serve(context: node_process.NodeContext) -> None:
    """The Reverb server."""
    from tfquarl.replay import variable_table

    shapes = context.experiment.agent.architecture(context.spec).variable_shapes()
    nodes.serve(context, [variable_table.make_variable_table(shapes)])


def learn(context: node_process.NodeContext) -> None:
    """The learner."""
    from tfquarl.program import transport as transport_lib

    class Transport(transport_lib.ReverbTransport):
        """Gives snapshots to the container too."""

        def snapshot_sink(self) -> interfaces.SnapshotSink:
            """As `Transport`."""
            return VariablePusher(_container(context.server_address), super().snapshot_sink())

    nodes.learn(context, Transport)


def collect(context: node_process.NodeContext) -> None:
    """One collector of TF-Agents, on one thread."""
    import tensorflow as tf

    scheduling.prefer_throughput()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    transport = nodes.make_transport(context)
    loop = make_loop(context, transport, _container(context.server_address))
    context.sender.send("running")
    loop.run(_MANY_STEPS, context.stop)
    transport.close()
    loop.report()


def make_loop(
    context: node_process.NodeContext, transport: "transport_lib.Transport", container: Any
) -> stock_loop.StockLoop:
    """The loop of collector `context.index`, with the random numbers, the exploration and the writer that ours would have.

    Raises:
      ConfigError: TF-Agents has no such suite, or nothing that explores like this agent.
    """
    from tf_agents.environments import wrappers
    from tf_agents.policies import random_py_policy

    experiment, spec, index = context.experiment, context.spec, context.index
    seed = stations.collector_seed(experiment, index)
    task = experiment.environment
    environment: Any = stock_agent.load_environment(task.name, seed)
    if task.action_repeat > 1:
        environment = wrappers.ActionRepeat(environment, task.action_repeat)
    if experiment.collector.max_episode_steps is not None:
        environment = wrappers.TimeLimit(environment, experiment.collector.max_episode_steps)
    exploration = experiment.agent.make_exploration(index, experiment.scale.num_collectors, seed)
    policy, network, explore = stock_policy.make_policy(experiment.agent.architecture(spec), exploration, spec)
    action_spec: Any = environment.action_spec()
    random = random_py_policy.RandomPyPolicy(environment.time_step_spec(), action_spec, seed=seed)
    writer = transport.transition_writer()
    config = experiment.collector
    return stock_loop.StockLoop(
        environment,
        (random, policy),
        stock_loop.StepObserver(writer.sinks(1)[0], transport.observation_sink()),
        VariablePuller(container, list(network.policy_variables.values())),
        explore,
        stock_loop.LoopConfig(
            index,
            config.initial_collect_steps,
            PULL_STEPS,
            _STEPS_PER_RUN,
            config.report_interval_sec,
            config.num_report_episodes,
        ),
        context.sender,
        lambda: writer.blocked_sec,
    )


class VariablePusher:
    """A snapshot sink that also pushes the variables to a `ReverbVariableContainer`."""

    def __init__(self, container: Any, sink: interfaces.SnapshotSink) -> None:
        """Stores both."""
        self._container, self._sink = container, sink

    def newest_version(self) -> int | None:
        """As `interfaces.SnapshotSink`."""
        return self._sink.newest_version()

    def push(self, snapshot: records.PolicySnapshot) -> None:
        """As `interfaces.SnapshotSink`."""
        import numpy as np

        variables = list(snapshot.variables.values())
        self._container.push({"policy_variables": variables, "train_step": np.int64(snapshot.train_step)})
        self._sink.push(snapshot)


class VariablePuller:
    """Brings the newest variables, as `ReverbVariableContainer.update` does, in two steps that are timed."""

    def __init__(self, container: Any, variables: list[Any]) -> None:
        """Stores both; `variables` are in the order in which they were pushed."""
        import tensorflow as tf

        self._container = container
        train_step = tf.Variable(tf.zeros([], tf.int64), trainable=False, name="train_step")
        self._variables = {"policy_variables": variables, "train_step": train_step}

    def __call__(self, times: stock_loop.StockTimes) -> None:
        """Pulls and assigns, and adds the time that it took."""
        start = time.perf_counter()
        values = self._container.pull()
        pulled = time.perf_counter()
        self._container._assign(self._variables, values)  # what update() does with them
        times.pull += pulled - start
        times.load += time.perf_counter() - pulled


def _container(address: str) -> Any:
    from tf_agents.experimental.distributed import reverb_variable_container

    return reverb_variable_container.ReverbVariableContainer(address)
