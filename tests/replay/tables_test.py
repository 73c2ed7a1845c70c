"""Tests of tfquarl.replay.tables and server_calls, with real servers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reverb

from tests.replay import conftest
from tfquarl.core import errors
from tfquarl.replay import replay_config
from tfquarl.replay import server_calls
from tfquarl.replay import tables
from tfquarl.replay import transition

LAYOUT = conftest.LAYOUT
Serve = Callable[[replay_config.ReplayConfig], reverb.Client]


def info_of(serve: Serve, **settings: Any) -> Any:
    return server_calls.server_info(serve(replay_config.ReplayConfig(**settings)), 5)


def test_experience_without_ratio(serve: Serve):
    table = info_of(serve, max_size=50, min_size_to_sample=7)[tables.EXPERIENCE]
    assert table.max_size == 50 and table.rate_limiter_info.min_size_to_sample == 7
    assert table.rate_limiter_info.max_diff > 1e300
    assert table.sampler_options.HasField("uniform") and table.remover_options.HasField("fifo")
    assert table.signature.shape == [1, LAYOUT.row_size] and table.signature.dtype == "float32"


def test_experience_with_ratio(serve: Serve):
    limiter = info_of(serve, min_size_to_sample=7, samples_per_insert=4.0, error_buffer=6.0)[
        tables.EXPERIENCE
    ].rate_limiter_info
    assert (limiter.samples_per_insert, limiter.min_diff, limiter.max_diff) == (4, 7 * 4 - 6, 7 * 4 + 6)


def test_a_config_counts_transitions_and_a_table_items(serve: Serve):
    table = info_of(
        serve, max_size=100, min_size_to_sample=10, rows_per_item=4, samples_per_insert=2.0, error_buffer=16.0
    )[tables.EXPERIENCE]
    limiter = table.rate_limiter_info
    assert (table.max_size, limiter.min_size_to_sample, limiter.samples_per_insert) == (25, 3, 2)
    assert (limiter.min_diff, limiter.max_diff) == (3 * 2 - 4, 3 * 2 + 4)
    assert table.signature.shape == [4, LAYOUT.row_size]


def test_items_with_priorities_have_one_row(serve: Serve):
    table = info_of(serve, max_size=100, rows_per_item=4, min_size_to_sample=10, priority_exponent=0.5)[
        tables.EXPERIENCE
    ]
    assert (table.max_size, tuple(table.signature.shape)) == (100, (1, LAYOUT.row_size))


def test_prioritised_experience(serve: Serve):
    sampler = info_of(serve, priority_exponent=0.5)[tables.EXPERIENCE].sampler_options
    assert sampler.prioritized.priority_exponent == 0.5


def test_observations_are_never_held_back(serve: Serve):
    table = info_of(serve, samples_per_insert=4.0, observation_blocks=9, observation_block=3)[tables.OBSERVATIONS]
    assert table.max_size == 9 and table.rate_limiter_info.max_diff > 1e300
    assert table.signature.shape == [3, 2]


def test_newest_item_table():
    server = reverb.Server([tables.make_newest_item_table("x", [None], "uint8")])
    client = reverb.Client(f"localhost:{server.port}")
    for value in (b"a", b"bc"):
        client.insert(np.frombuffer(value, np.uint8), {"x": 3.0})
    item = server_calls.sample(client, "x")[0]
    assert item.value.tobytes() == b"bc" and item.priority == 3.0
    assert server_calls.server_info(client, 5)["x"].current_size == 1
    server.stop()


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        pytest.param(
            ("nothing", (2,), "float32", None), "no table 'nothing', only experience, observations", id="name"
        ),
        pytest.param(
            (tables.EXPERIENCE, (1, 9), "float32", None), r"items TensorSpec.*needs float32\[1, 9\]", id="shape"
        ),
        pytest.param((tables.EXPERIENCE, (1, 7), "int32", None), r"needs int32\[1, 7\]", id="dtype"),
        pytest.param((tables.EXPERIENCE, (1, 7), "float32", 1), "holds 50 items, needs 1", id="size"),
    ],
)
def test_wrong_table(serve: Serve, needed: tuple[Any, ...], message: str):
    client = serve(replay_config.ReplayConfig(max_size=50, min_size_to_sample=1))
    with pytest.raises(errors.ConfigError, match=message):
        tables.check_tables(client, [tables.TableShape(*needed)])


def test_every_failure_is_listed(serve: Serve):
    client = serve(replay_config.ReplayConfig())
    wrong = [tables.TableShape("x", (), "int64"), tables.TableShape(tables.EXPERIENCE, (), "int64", 1)]
    assert len(tables.table_failures(client, wrong)) == 3


def test_table_without_signature():
    server = reverb.Server([reverb.Table.queue("x", 1)])
    client = reverb.Client(f"localhost:{server.port}")
    assert tables.table_failures(client, [tables.TableShape("x", (), "int64")]) == [
        "table 'x' has no signature, needs int64[]"
    ]
    server.stop()


def test_right_tables(serve: Serve):
    client = serve(replay_config.ReplayConfig(observation_block=4))
    row_size = transition.TransitionLayout(2, 1).row_size
    tables.check_tables(
        client,
        [
            tables.TableShape(tables.EXPERIENCE, (1, row_size), "float32"),
            tables.TableShape(tables.OBSERVATIONS, (4, 2), "float32"),
        ],
    )


def test_no_server():
    server = reverb.Server([reverb.Table.queue("x", 1)])
    client = reverb.Client(f"localhost:{server.port}")
    server.stop()
    with pytest.raises(errors.RemoteTimeoutError, match=r"localhost:\d+: no answer within 1 s"):
        server_calls.server_info(client, 1)
