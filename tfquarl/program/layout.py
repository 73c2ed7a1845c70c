"""The topology of a run on one screen, in the order in which data flows.

    server       Reverb: experience, observations, snapshots, policies
    learner      experience -> train steps -> snapshots
    converter    snapshots + observations -> verified quantized policies
    collector_i  policies -> environment steps -> experience, observations
    evaluator    policies, quantized and float side by side -> returns, policies/ in the run directory

Stations never import one another: they meet here, and in Reverb.
"""

from tfquarl.environments import registry
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import node_process
from tfquarl.program import nodes

_FIRST = "tfquarl.program.network_entrance"
# The last one keeps what the others brought in shared memory.
_PRELOAD = (
    "tfquarl.core.without_pandas",
    "tfquarl.program.training",
    "tfquarl.program.nodes",
    "reverb",
    "tfquarl.program.transport",
    "tfquarl.runtime.interpreter",
    "tfquarl.collector.collection_loop",
    "tfquarl.collector.exploration",
    "tfquarl.collector.policy_slot",
)
_LAST = "tfquarl.program.shared_imports"


def preload(environment: str, private_network: bool = True) -> tuple[str, ...]:
    """What the fork server imports once for all nodes of a run.

    Args:
      environment: name of the run's.
      private_network: whether the nodes are to have a network of their own, which nobody outside can reach.
    """
    suite = registry.suite_module(environment)
    return (*([_FIRST] if private_network else []), *_PRELOAD, *([] if suite is None else [suite]), _LAST)


def make_nodes(scale: experiment_lib.ScaleConfig) -> list[node_process.NodeSpec]:
    """Every process of a run; the first one is the server, whose address the others need."""
    return [
        node_process.NodeSpec("server", nodes.serve),
        node_process.NodeSpec("learner", nodes.learn),
        node_process.NodeSpec("converter", nodes.convert),
        *(node_process.NodeSpec(f"collector_{index}", nodes.collect, index) for index in range(scale.num_collectors)),
        node_process.NodeSpec("evaluator", nodes.evaluate),
    ]
