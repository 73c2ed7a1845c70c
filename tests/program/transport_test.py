"""Tests of `tfquarl.program.transport`: the ends within one process. Over Reverb see tests/integration/ten_rows_test.py."""

import inspect
import os
import threading

import numpy as np
import pytest

from tfquarl.environments import registry
from tfquarl.program import gin_loading
from tfquarl.program import transport as transport_lib

_EXPERIMENT = "configs/gin/experiments/dqn_cartpole_int8.gin"
_START = np.zeros(4, np.float32)


@pytest.fixture
def local():
    os.environ.setdefault("BUILD_WORKSPACE_DIRECTORY", os.getcwd())
    experiment = gin_loading.load([_EXPERIMENT], ["DqnBuilder.n_step = 1"]).experiment
    return transport_lib.LocalTransport(experiment, registry.spec(experiment.environment.name))


def _write(local, value):
    """One transition whose next observation is all `value`."""
    sink = local.transition_writer().sinks(1)[0]
    sink.start(_START)
    sink.add(1, 1.0, np.full(4, value, np.float32), True, False)


def test_a_batch_is_drawn_when_it_is_asked_for_and_not_before(local):
    _write(local, 1.0)
    batches = iter(local.batches(64))
    assert np.unique(next(batches).next_observation).tolist() == [1.0]
    for _ in range(3):
        _write(local, 2.0)
    assert np.unique(next(batches).next_observation).tolist() == [1.0, 2.0]


def test_a_batch_has_the_shapes_that_it_declares(local):
    _write(local, 1.0)
    dataset = local.batches(8)
    batch = next(iter(dataset))
    for name, spec in dataset.element_spec._asdict().items():
        value = getattr(batch, name)
        assert (value.shape, value.dtype) == (spec.shape, spec.dtype), name
    assert batch.observation.shape == (8, 4) and batch.action.shape == (8, 1)


@pytest.mark.parametrize("cls", [transport_lib.LocalTransport, transport_lib.ReverbTransport])
def test_both_transports_have_every_end(cls):
    ends = [
        name for name, value in vars(transport_lib.Transport).items() if inspect.isfunction(value) and name[0] != "_"
    ]
    assert len(ends) >= 9
    for name in ends:
        expected = list(inspect.signature(getattr(transport_lib.Transport, name)).parameters)
        assert list(inspect.signature(getattr(cls, name)).parameters) == expected, name


@pytest.mark.parametrize(
    ("end", "place"),
    [
        ("snapshot_sink", "snapshot_channel.SnapshotPublisher"),
        ("policy_sink", "policy_publisher.PolicyPublisher"),
        ("evaluation_sink", "policy_publisher.EvaluationPublisher"),
        ("transition_writer", "transition_writer.TransitionWriter"),
    ],
)
def test_who_writes_waits_until_a_hung_server_has_been_replaced(monkeypatch, end, place):
    experiment = gin_loading.load([_EXPERIMENT], ["SupervisionConfig.heartbeat_timeout_sec = 300.0"]).experiment
    spec = registry.spec(experiment.environment.name)
    transport = transport_lib.ReverbTransport(experiment, spec, "localhost:1", b"key", threading.Event())
    module, name = place.split(".")
    cls = getattr(getattr(transport_lib, module), name)
    given = {}

    def record(*arguments, **more):
        given.update(inspect.signature(cls).bind(*arguments, **more).arguments)

    monkeypatch.setattr(f"tfquarl.program.transport.{place}", record)
    getattr(transport, end)()
    assert given["deadline_sec"] == 300.0 + 90.0
