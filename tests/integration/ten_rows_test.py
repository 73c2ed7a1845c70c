"""One snapshot on its way through all ten rows of the flow table, in one process, over a real Reverb server.

Real TFLite, real CartPole, the stations of the main job; each of them is stepped by hand.
"""

import dataclasses
import os
import threading

import numpy as np
import pytest
import reverb

from tfquarl.environments import registry
from tfquarl.networks import numpy_policy
from tfquarl.networks import q_centering
from tfquarl.program import archive
from tfquarl.program import gin_loading
from tfquarl.program import stations
from tfquarl.program import transport as transport_lib
from tfquarl.publication import publication_tables
from tfquarl.replay import tables
from tfquarl.replay import transition
from tfquarl.testing import memory_metrics
from tfquarl.testing import train_process

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"
_BINDINGS = (
    *train_process.SMALL,
    # A single thread can't wait for itself: flow control must let each side run on.
    "ReplayConfig.error_buffer = 100_000.0",
    "DqnBuilder.n_step = 3",
    "DqnBuilder.discount = 0.5",
)
_KEY = b"the key of this very run"
_TRAIN_STEPS = 12


@dataclasses.dataclass
class _Trip:
    """What each row gave, by its number in the flow table, and the stations at the end."""

    rows: dict
    metrics: memory_metrics.MemoryMetrics
    run_dir: object


@pytest.fixture(scope="module")
def experiment():
    os.environ.setdefault("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
    return gin_loading.load([_EXPERIMENT], _BINDINGS).experiment


@pytest.fixture(scope="module")
def trip(experiment, tmp_path_factory):
    spec = registry.spec(experiment.environment.name)
    layout = transition.TransitionLayout.from_spec(spec)
    server = reverb.Server(
        tables.make_tables(experiment.replay, layout) + publication_tables.make_publication_tables(), port=None
    )
    transport = transport_lib.ReverbTransport(
        experiment, spec, f"localhost:{server.port}", _KEY, stop := threading.Event()
    )
    result = _Trip({}, memory_metrics.MemoryMetrics(), tmp_path_factory.mktemp("run"))
    _travel(experiment, spec, transport, result)
    yield result
    stop.set()
    transport.close()
    server.stop()


def _travel(experiment, spec, transport, trip):
    rows, never, metrics = trip.rows, threading.Event(), trip.metrics
    learner = stations.make_learner(experiment, spec, transport, trip.run_dir / "checkpoints", metrics)
    converter = stations.make_converter(experiment, spec, transport, metrics)
    evaluator, _ = stations.make_evaluator(experiment, transport, trip.run_dir, metrics, never.is_set)
    loop, slot = stations.make_collector(experiment, spec, transport, metrics, index=0)
    snapshots, policies = transport.snapshot_source(), transport.policy_source()

    learner.start()  # pushes the snapshot of before the first train step
    rows[3] = snapshots.poll()
    loop.run(300, never)  # at random: what calibration and parity need
    rows["slot_before"] = slot.version
    assert converter.step() and not converter.step()
    rows[6] = policies.poll()
    rows[7] = policies.poll()
    rows[8] = slot.poll_now()
    rows["slot_until_the_episode_ends"] = slot.version
    rows[9] = loop.run(300, never)
    rows["slot_after"], rows["policy"] = slot.version, slot.policy
    rows[10] = next(iter(transport.batches(experiment.learner.batch_size)))
    rows["evaluation"] = evaluator.step()

    rows[1] = learner.step(_TRAIN_STEPS)
    rows[2] = learner.finish()
    converter.step()
    slot.poll_now()
    loop.run(600, never)
    rows["second_snapshot"] = snapshots.poll()
    rows["second_slot"] = slot.version
    loop.report()


def test_row_1_a_batch_becomes_updated_variables(trip):
    first, second = trip.rows[3].variables, trip.rows["second_snapshot"].variables
    assert trip.rows[1] == _TRAIN_STEPS
    assert first.keys() == second.keys()
    assert not np.array_equal(first["head/kernel"], second["head/kernel"])


def test_row_2_updated_variables_become_a_newer_snapshot(trip):
    assert trip.rows[2] == trip.rows["second_snapshot"].version > trip.rows[3].version
    assert trip.rows["second_snapshot"].train_step == _TRAIN_STEPS


def test_row_3_the_first_snapshot_is_there_before_the_first_train_step(trip, experiment):
    snapshot = trip.rows[3]
    assert (snapshot.version, snapshot.train_step) == (1, 0)
    shapes = experiment.agent.architecture(registry.spec(experiment.environment.name)).variable_shapes()
    assert {name: value.shape for name, value in snapshot.variables.items()} == shapes


def test_rows_4_and_5_the_flatbuffer_passed_parity_with_the_float_network(trip):
    converted = next(values for group, step, values in trip.metrics.rows if group == "convert" and step == 0)
    assert converted["Parity/is_passed"] == 1
    assert trip.rows[6].manifest["parity"]["passed"]
    assert trip.rows[6].manifest["calibration"]["num_observations"] > 0


def test_row_6_the_artifact_that_arrives_is_the_snapshots_and_verifies(trip):
    artifact = trip.rows[6]
    assert (artifact.version, artifact.train_step, artifact.recipe) == (1, 0, "static_wi8_ai8")
    assert artifact.manifest["environment"]["name"] == "gym:CartPole-v1"


def test_row_7_nothing_newer_is_none(trip):
    assert trip.rows[7] is None


def test_row_8_the_policy_is_swapped_in_at_an_episodes_end(trip):
    assert trip.rows[8] is True
    assert trip.rows["slot_before"] == trip.rows["slot_until_the_episode_ends"] == 0
    assert trip.rows["slot_after"] == 1
    assert trip.rows["second_slot"] == trip.rows[2]


def test_row_8_the_live_policy_acts_like_the_snapshot(trip, experiment):
    architecture = experiment.agent.architecture(registry.spec(experiment.environment.name))
    variables = q_centering.center(architecture, trip.rows[3].variables)
    observations = np.asarray(trip.rows[10].observation)
    expected = numpy_policy.forward(architecture, variables, observations)["output"]
    actual = np.concatenate([trip.rows["policy"](row[np.newaxis]).copy() for row in observations])
    # Few observations calibrated it: some of these lie outside of their range and are clipped.
    assert np.median(np.abs(actual - expected)) < 0.1 * np.abs(expected).max()
    assert (actual.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.7


def test_row_9_the_collector_made_its_steps_with_the_policy(trip):
    assert trip.rows[9] == 300
    group, _, values = trip.metrics.rows[-1]
    assert (group, values["Policy/version"]) == ("collect/0", trip.rows[2])
    assert values["Metrics/AverageReturn"] >= 8  # a pole takes so many steps to fall


def test_row_10_batches_hold_windows_of_three_steps(trip, experiment):
    batch = trip.rows[10]
    assert batch.observation.shape == (experiment.learner.batch_size, 4)
    # Three rewards of 1 at discount 0.5, or fewer where the pole fell; then nothing is to come. The agent's own gamma is not in it.
    whole = np.isclose(batch.discount, 0.25)
    assert whole.any()
    np.testing.assert_allclose(np.asarray(batch.reward)[whole], 1.75)
    np.testing.assert_allclose(np.asarray(batch.discount)[~whole], 0)
    assert set(np.asarray(batch.reward)[~whole].tolist()) <= {1.0, 1.5, 1.75}
    assert set(np.unique(batch.action).tolist()) <= {0.0, 1.0}


def test_what_is_judged_and_kept_is_what_collectors_run(trip):
    verdict = trip.rows["evaluation"]
    assert (verdict.version, verdict.quantized.episodes, verdict.float32.episodes) == (1, 3, 3)
    assert archive.load(trip.run_dir, "latest").digest == trip.rows[6].digest
