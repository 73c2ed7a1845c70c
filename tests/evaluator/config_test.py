"""Tests of evaluator/config.py."""

from typing import Any

import pytest

from tfquarl.evaluator import config


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_episodes", 0),
        ("num_confirm_episodes", 0),
        ("num_environments", -1),
        ("poll_interval_sec", 0.0),
        ("time_share", 0.0),
        ("time_share", 1.5),
        ("interval_steps", -1),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}, needs"):
        config.EvaluatorConfig(**{name: value})
