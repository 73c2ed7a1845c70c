"""Tests of collector/config.py."""

from typing import Any

import pytest

from tfquarl.collector import config


@pytest.mark.parametrize(
    "name, value",
    [
        ("initial_collect_steps", -1),
        ("max_episode_steps", 0),
        ("num_report_episodes", 0),
        ("report_interval_sec", 0.0),
        ("poll_interval_sec", -1.0),
        ("max_policy_age_sec", float("nan")),
        ("max_bad_episodes", 0),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}, needs"):
        config.CollectorConfig(**{name: value})
