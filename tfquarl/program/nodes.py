"""What each process of a run does: makes its station over Reverb and runs it until it is told to stop.

Reverb brings TensorFlow, so it is imported inside the functions: the launcher names them without running them.
"""

from collections.abc import Sequence
import multiprocessing
import pathlib
import time
from typing import TYPE_CHECKING
from typing import Any

from tfquarl.core import deadline
from tfquarl.program import archive
from tfquarl.program import node_process
from tfquarl.program import private_network
from tfquarl.program import run_directory
from tfquarl.program import scheduling
from tfquarl.program import server_port
from tfquarl.program import stations

if TYPE_CHECKING:
    from tfquarl.program import transport as transport_lib

# A collector reports at least this often however its environments behave, so many steps at a time.
_COLLECT_STEPS = 1_000_000_000
# Largest share of the time in which the replay may write checkpoints, when it answers nobody: a million transitions take half a minute. Its
# clients wait `SupervisionConfig.server_silence_sec`.
_MAX_CHECKPOINT_SHARE = 0.05


def serve(context: node_process.NodeContext, more_tables: Sequence[Any] = ()) -> None:
    """The Reverb server: replay, flow control and publication, with a checkpoint now and then, and at its end.

    Args:
      context: of the node.
      more_tables: which a study may need.
    """
    import reverb

    from tfquarl.program import replay_checkpoints
    from tfquarl.publication import publication_tables
    from tfquarl.replay import tables
    from tfquarl.replay import transition

    config, layout = context.experiment.replay, transition.TransitionLayout.from_spec(context.spec)
    checkpoints = replay_checkpoints.ReplayCheckpoints(run_directory.RunDirectory(context.run_dir).replay)
    all_tables = [
        *tables.make_tables(config, layout),
        *publication_tables.make_publication_tables(),
        *more_tables,
    ]
    launcher = multiprocessing.parent_process()
    if launcher is not None and launcher.pid is not None:
        private_network.yield_memory_if_shared(launcher.pid)
    server_port.check_free(context.start.port)
    server = reverb.Server(all_tables, context.start.port or None, checkpoints.checkpointer())
    context.sender.send("running")
    context.sender.send("ready", address=f"localhost:{server.port}")
    save_sec = 0.0
    while not context.stop.wait(max(config.checkpoint_period_sec, save_sec / _MAX_CHECKPOINT_SHARE)):
        started = time.perf_counter()
        checkpoints.save(server.localhost_client())
        save_sec = time.perf_counter() - started
    checkpoints.save(server.localhost_client())
    server.stop()


def learn(
    context: node_process.NodeContext, transport_class: "type[transport_lib.ReverbTransport] | None" = None
) -> None:
    """The learner; at its end it says which snapshot was its last, and whether it had made all its train steps. A study may give it another class of transport."""
    from tfquarl.learner import tensorflow_runtime

    tensorflow_runtime.configure(context.experiment.learner)
    transport = make_transport(context, transport_class)
    checkpoints = run_directory.RunDirectory(context.run_dir).checkpoints
    learner = stations.make_learner(
        context.experiment, context.spec, transport, checkpoints, context.sender, context.start.version
    )
    context.sender.send("running")
    version = learner.run(context.stop)
    context.sender.send("finished", version=version, train_step=learner.train_step, is_done=learner.is_done)


def convert(context: node_process.NodeContext) -> None:
    """The converter."""
    converter = stations.make_converter(context.experiment, context.spec, make_transport(context), context.sender)
    context.sender.send("running")
    try:
        converter.run(context.stop)
    except deadline.StoppedError:
        return  # it waited for observations that don't come any more


def collect(context: node_process.NodeContext) -> None:
    """One collector; at its end the last of its transitions are in the replay, unless the rate limiter holds them back."""
    scheduling.prefer_throughput()
    transport = make_transport(context)
    loop, slot = stations.make_collector(
        context.experiment, context.spec, transport, context.sender, context.index, context.start
    )
    context.sender.send("running")
    slot.poll_now()  # one that was started again acts by the present policy from its first step
    with slot:
        loop.run(_COLLECT_STEPS, context.stop)
    transport.close()
    loop.report()


def evaluate(context: node_process.NodeContext) -> None:
    """The evaluator; every verdict goes to the launcher too, also those that an earlier one kept and died before it told them."""
    is_trained = context.trained.is_set
    evaluator, source = stations.make_evaluator(
        context.experiment, make_transport(context), pathlib.Path(context.run_dir), context.sender, is_trained
    )
    context.sender.send("running")
    for verdict in archive.PolicyArchive(context.run_dir).evaluations():
        context.sender.send("evaluation", **verdict)
    with source:
        evaluator.run(
            context.stop, lambda evaluation: context.sender.send("evaluation", **evaluation.to_json()), is_trained
        )


def make_transport(
    context: node_process.NodeContext, transport_class: "type[transport_lib.ReverbTransport] | None" = None
) -> "transport_lib.ReverbTransport":
    """The node's way to the Reverb server."""
    from tfquarl.program import transport as transport_lib

    return (transport_class or transport_lib.ReverbTransport)(
        context.experiment, context.spec, context.server_address, context.key, context.stop
    )
