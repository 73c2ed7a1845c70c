"""Tests of tfquarl.replay.replay_config: what would wait for ever is refused before it starts."""

import math
from typing import Any

import pytest

from tfquarl.core import errors
from tfquarl.replay import replay_config


def test_defaults_are_sound():
    assert replay_config.ReplayConfig().ratio_error_buffer == 0


@pytest.mark.parametrize(
    ("settings", "buffer"),
    [
        pytest.param({"samples_per_insert": 32.0}, 3200, id="a tenth of what the first transitions allow"),
        pytest.param({"samples_per_insert": 32.0, "min_size_to_sample": 10}, 256, id="eight times one insert"),
        pytest.param({"samples_per_insert": 0.25, "min_size_to_sample": 10}, 8, id="eight times one sample"),
        pytest.param({"samples_per_insert": 32.0, "error_buffer": 40.0}, 40, id="as given"),
    ],
)
def test_error_buffer(settings: dict[str, Any], buffer: float):
    assert replay_config.ReplayConfig(**settings).ratio_error_buffer == pytest.approx(buffer)


@pytest.mark.parametrize(
    ("settings", "items"),
    [
        pytest.param({"rows_per_item": 8, "max_in_flight": 128}, 16, id="whole items"),
        pytest.param({"rows_per_item": 8, "max_in_flight": 7}, 1, id="at least one"),
        pytest.param({"max_in_flight": 128}, 48, id="no more than Reverb takes without a warning"),
        pytest.param(
            {"rows_per_item": 8, "max_in_flight": 32, "priority_exponent": 0.6}, 32, id="with priorities, single rows"
        ),
    ],
)
def test_items_in_flight(settings: dict[str, Any], items: int):
    assert replay_config.ReplayConfig(**settings).items_in_flight == items


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"max_size": 0}, "max_size is 0, needs 1 or more", id="no room"),
        pytest.param({"min_size_to_sample": 0}, "min_size_to_sample is 0, needs 1", id="samples of nothing"),
        pytest.param({"rows_per_item": 0}, "rows_per_item is 0, needs 1", id="empty items"),
        pytest.param({"max_in_flight": 0}, "max_in_flight is 0", id="nothing in flight"),
        pytest.param({"observation_every": 0}, "observation_every is 0, needs 1", id="observations of no step"),
        pytest.param({"observation_block": 1}, "observation_block is 1, needs 2", id="blocks without halves"),
        pytest.param({"observation_blocks": 0}, "observation_blocks is 0, needs 1", id="no blocks"),
        pytest.param({"checkpoint_period_sec": 0.0}, "checkpoint_period_sec is 0.0, needs more", id="checkpoints only"),
        pytest.param({"max_size": 10, "min_size_to_sample": 11}, "learner wait for ever", id="never full enough"),
        pytest.param({"samples_per_insert": 0.0}, "samples_per_insert is 0.0", id="no samples"),
        pytest.param({"samples_per_insert": math.inf}, "samples_per_insert is inf", id="infinite samples"),
        pytest.param({"error_buffer": 5.0}, "give both or none", id="buffer without ratio"),
        pytest.param(
            {"samples_per_insert": 32.0, "error_buffer": 31.0},
            "needs 32 or more.*each wait for the other",
            id="deadlock",
        ),
        pytest.param({"samples_per_insert": 0.5, "error_buffer": 0.9}, "needs 1 or more", id="deadlock below one"),
        pytest.param({"priority_exponent": 1.5}, "priority_exponent is 1.5", id="priority exponent"),
        pytest.param({"initial_priority": 0.0}, "never sampled", id="initial priority"),
    ],
)
def test_refuses(settings: dict[str, Any], message: str):
    with pytest.raises(errors.ConfigError, match=message):
        replay_config.ReplayConfig(**settings)
