"""The stations' ends of replay and publication: over Reverb between processes, or in memory within one."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

import reverb

from tfquarl.core import environment_spec
from tfquarl.core import interfaces
from tfquarl.program import experiment as experiment_lib
from tfquarl.publication import in_process
from tfquarl.publication import policy_publisher
from tfquarl.publication import policy_subscriber
from tfquarl.publication import snapshot_channel
from tfquarl.replay import local_replay
from tfquarl.replay import observation_tap
from tfquarl.replay import transition
from tfquarl.replay import transition_writer

if TYPE_CHECKING:
    import tensorflow as tf


class TransitionWriter(Protocol):
    """Takes the steps of all environments of one collector."""

    @property
    def blocked_sec(self) -> float:
        """Seconds for which the rate limiter has made the collector wait."""
        ...

    def sinks(self, num_environments: int) -> Sequence[interfaces.TransitionSink]:
        """New sinks, one for each of a collector's environments."""
        ...


class Transport(Protocol):
    """What stations are connected by. Each method gives one end, for one station."""

    def batches(self, batch_size: int) -> "tf.data.Dataset":
        """The learner's `TransitionBatch`es [batch_size, ...]."""
        ...

    def priorities(self) -> Any:
        """Where the learner sends new priorities; None where sampling is uniform."""
        ...

    def snapshot_sink(self) -> interfaces.SnapshotSink:
        """The learner's end of the snapshots."""
        ...

    def snapshot_source(self) -> interfaces.SnapshotSource:
        """The converter's end of the snapshots."""
        ...

    def observation_source(self, num_observations: int) -> interfaces.ObservationSource:
        """The converter's observations, the newest so many each for calibration and parity."""
        ...

    def policy_sink(self) -> interfaces.ArtifactSink:
        """The converter's end of the policies."""
        ...

    def evaluation_sink(self) -> Any:
        """The converter's end of the pairs of policies for the evaluator."""
        ...

    def policy_source(self) -> interfaces.ArtifactSource:
        """A collector's end of the policies."""
        ...

    def transition_writer(self) -> "TransitionWriter":
        """A collector's end of the replay."""
        ...

    def observation_sink(self) -> interfaces.ObservationSink:
        """A collector's end of the observations."""
        ...

    def evaluation_source(self) -> Any:
        """The evaluator's end of the pairs of policies."""
        ...


class ReverbTransport:
    """Connects one process to the run's Reverb server.

    Args:
      experiment: the configuration.
      spec: of its environment.
      server_address: 'host:port'.
      key: that publications are signed with.
      stop: ends waits for the server.
    """

    def __init__(
        self,
        experiment: experiment_lib.Experiment,
        spec: environment_spec.EnvironmentSpec,
        server_address: str,
        key: bytes,
        stop: interfaces.StopSignal,
    ) -> None:
        self._experiment = experiment
        self._layout = transition.TransitionLayout.from_spec(spec)
        self._address, self._key, self._stop = server_address, key, stop
        self._silence_sec = experiment.supervision.server_silence_sec
        self._client = reverb.Client(server_address)
        self._closers: list[Any] = []

    def batches(self, batch_size: int) -> "tf.data.Dataset":
        """As `Transport`."""
        from tfquarl.replay import dataset

        return dataset.make_dataset(self._address, self._layout, batch_size, self._experiment.replay.rows_in_item)

    def priorities(self) -> Any:
        """As `Transport`."""
        if self._experiment.replay.priority_exponent is None:
            return None
        from tfquarl.replay import dataset

        return dataset.PriorityUpdater(self._client)

    def snapshot_sink(self) -> interfaces.SnapshotSink:
        """As `Transport`."""
        return snapshot_channel.SnapshotPublisher(self._client, self._key, self._stop, self._silence_sec)

    def snapshot_source(self) -> interfaces.SnapshotSource:
        """As `Transport`."""
        return snapshot_channel.SnapshotSubscriber(self._client, self._key, self._stop)

    def observation_source(self, num_observations: int) -> interfaces.ObservationSource:
        """As `Transport`."""
        config = self._experiment.replay
        return observation_tap.ObservationPool(self._client, self._layout, config, num_observations, self._stop)

    def policy_sink(self) -> interfaces.ArtifactSink:
        """As `Transport`."""
        return policy_publisher.PolicyPublisher(self._client, self._key, self._stop, self._silence_sec)

    def evaluation_sink(self) -> policy_publisher.EvaluationPublisher:
        """As `Transport`."""
        return policy_publisher.EvaluationPublisher(self._client, self._key, self._stop, self._silence_sec)

    def policy_source(self) -> interfaces.ArtifactSource:
        """As `Transport`."""
        return policy_subscriber.PolicySubscriber(self._client, self._key, self._stop)

    def transition_writer(self) -> transition_writer.TransitionWriter:
        """As `Transport`."""
        agent = self._experiment.agent
        writer = transition_writer.TransitionWriter(
            self._client,
            self._layout,
            self._experiment.replay,
            agent.discount,
            self._stop,
            self._silence_sec,
            n_step=agent.n_step,
        )
        self._closers.append(writer)
        return writer

    def observation_sink(self) -> interfaces.ObservationSink:
        """As `Transport`."""
        num_environments = self._experiment.scale.environments_per_collector
        tap = observation_tap.ObservationTap(self._client, self._layout, self._experiment.replay, num_environments)
        self._closers.append(tap)
        return tap

    def evaluation_source(self) -> policy_subscriber.EvaluationSubscriber:
        """As `Transport`."""
        return policy_subscriber.EvaluationSubscriber(self._client, self._key, self._stop)

    def close(self) -> None:
        """Gives what was written last a moment to arrive."""
        for closer in self._closers:
            closer.close()


class LocalTransport:
    """Connects stations within one process; the same seed gives the same samples, which Reverb's selectors can't.

    Args:
      experiment: the configuration.
      spec: of its environment.
    """

    def __init__(self, experiment: experiment_lib.Experiment, spec: environment_spec.EnvironmentSpec) -> None:
        self._experiment = experiment
        agent = experiment.agent
        layout = transition.TransitionLayout.from_spec(spec)
        self.replay = local_replay.LocalReplay(layout, experiment.replay, agent.discount, experiment.seed, agent.n_step)
        self.observations = local_replay.LocalObservations(
            experiment.replay, experiment.converter.num_recent_observations
        )
        self._layout = layout
        self._snapshots = in_process.LocalSnapshots()
        self._policies = in_process.LocalPolicies()
        self._evaluations = in_process.LocalEvaluations()

    def batches(self, batch_size: int) -> "tf.data.Dataset":
        """As `Transport`; each batch is drawn when the learner asks for it, so that the order of events is the program's."""
        import tensorflow as tf

        def draw() -> Iterator[transition.TransitionBatch]:
            while True:
                yield self.replay.sample(batch_size)

        size, action = self._layout.observation_size, self._layout.action_size
        specs = [((batch_size, size), tf.float32), ((batch_size, action), tf.float32)]
        specs += [((batch_size,), tf.float32)] * 2 + [((batch_size, size), tf.float32)]
        specs += [((batch_size,), tf.uint64), ((batch_size,), tf.float64)]
        signature = transition.TransitionBatch(*(tf.TensorSpec(shape, dtype) for shape, dtype in specs))
        options = tf.data.Options()
        # Nothing may draw ahead: what a batch holds would go by the clock.
        options.autotune.enabled = False
        options.experimental_optimization.inject_prefetch = False
        return tf.data.Dataset.from_generator(draw, output_signature=signature).with_options(options)

    def priorities(self) -> Any:
        """As `Transport`."""
        return None if self._experiment.replay.priority_exponent is None else self.replay

    def snapshot_sink(self) -> interfaces.SnapshotSink:
        """As `Transport`."""
        return self._snapshots

    def snapshot_source(self) -> interfaces.SnapshotSource:
        """As `Transport`."""
        return self._snapshots.source()

    def observation_source(self, num_observations: int) -> interfaces.ObservationSource:
        """As `Transport`."""
        del num_observations  # the constructor took it: tap and pool are one object here
        return self.observations

    def policy_sink(self) -> interfaces.ArtifactSink:
        """As `Transport`."""
        return self._policies

    def evaluation_sink(self) -> in_process.LocalEvaluations:
        """As `Transport`."""
        return self._evaluations

    def policy_source(self) -> interfaces.ArtifactSource:
        """As `Transport`."""
        return self._policies.source()

    def transition_writer(self) -> local_replay.LocalReplay:
        """As `Transport`."""
        return self.replay

    def observation_sink(self) -> interfaces.ObservationSink:
        """As `Transport`."""
        return self.observations

    def evaluation_source(self) -> in_process.LatestSource:
        """As `Transport`."""
        return self._evaluations.source()
