"""A collector as `program.stations` makes it, with the methods of its parts passed through a function: to time them, to count them."""

from collections.abc import Callable
import types
from typing import TYPE_CHECKING
from typing import Any

from tfquarl.collector import collection_loop
from tfquarl.collector import exploration
from tfquarl.collector import policy_slot
from tfquarl.core import environment_spec
from tfquarl.core import interfaces
from tfquarl.core import records
from tfquarl.environments import registry
from tfquarl.program import experiment as experiment_lib
from tfquarl.program import stations

if TYPE_CHECKING:
    from tfquarl.program import transport as transport_lib

# Takes the part's name and a function of it; gives what is called instead.
Wrap = Callable[[str, Callable[..., Any]], Callable[..., Any]]


class _WrappedSlot(policy_slot.PolicySlot):
    """A slot whose swaps are observed."""

    def __init__(self, wrap: Wrap, *args: Any) -> None:
        super().__init__(*args)
        self._wrapped_swap = wrap("swap", super().swap)

    def swap(self) -> bool:
        return self._wrapped_swap()


class NoMetrics:
    """A metrics sink that keeps nothing."""

    def write(self, group: str, step: int, values: object) -> None:
        """Takes figures."""


def make(
    experiment: experiment_lib.Experiment,
    spec: environment_spec.EnvironmentSpec,
    transport: "transport_lib.Transport",
    wrap: Wrap,
) -> tuple[collection_loop.CollectionLoop, policy_slot.PolicySlot]:
    """The loop and its slot.

    Args:
      experiment: of the collector.
      spec: of its environment.
      transport: gives the policy, and takes transitions and observations.
      wrap: is given 'environment' (step and reset), 'inference', 'exploration', 'write' (start and add), 'observation tap' and 'swap'
        with each function of that part.
    """
    count, config, task = experiment.scale.environments_per_collector, experiment.collector, experiment.environment

    def make_policy(artifact: records.PolicyArtifact) -> interfaces.Policy:
        return wrap("inference", stations.make_policy(artifact, count))

    slot = _WrappedSlot(
        wrap, transport.policy_source(), make_policy, config.poll_interval_sec, config.max_policy_age_sec
    )
    environments = [registry.make(task.name, seed, task.action_repeat) for seed in range(count)]
    exploration_config = experiment.agent.make_exploration(0, 1, experiment.seed)
    writer = transport.transition_writer()
    loop = collection_loop.CollectionLoop(
        [_wrapped(wrap, "environment", environment, "step", "reset") for environment in environments],
        slot,
        wrap("exploration", exploration.make(exploration_config, spec)),
        exploration.UniformRandom(spec, experiment.seed),
        [_wrapped(wrap, "write", sink, "start", "add") for sink in writer.sinks(count)],
        _wrapped(wrap, "observation tap", transport.observation_sink(), "add"),
        NoMetrics(),
        config,
    )
    return loop, slot


def _wrapped(wrap: Wrap, name: str, part: Any, *methods: str) -> Any:
    """An object with these methods of `part`, wrapped, and its spec if it has one."""
    wrapped = {method: wrap(name, getattr(part, method)) for method in methods}
    return types.SimpleNamespace(spec=getattr(part, "spec", None), **wrapped)
