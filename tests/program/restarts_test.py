"""Tests of `tfquarl.program.restarts`."""

import pytest

from tfquarl.core import errors
from tfquarl.program import restarts


def _restarts(now, **config):
    return restarts.Restarts(restarts.SupervisionConfig(**config), lambda: now[0])


def test_each_death_doubles_the_time_to_the_next_start_up_to_a_limit():
    counted = _restarts([0.0], first_backoff_sec=1.0, max_backoff_sec=5.0)
    assert [counted.died("a") for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("max_deaths", "times", "allowed"),
    [
        pytest.param(2, [0, 1, 2], [True, True, False], id="one_too_many"),
        pytest.param(2, [0, 6, 12, 18], [True, True, True, True], id="forgotten_in_between"),
        pytest.param(2, [0, 6, 12, 13], [True, True, True, False], id="two_within_the_window_and_one_more"),
        pytest.param(0, [0], [False], id="none_is_allowed"),
    ],
)
def test_a_process_that_dies_too_often_is_given_up(max_deaths, times, allowed):
    now = [0.0]
    counted = _restarts(now, max_deaths=max_deaths, death_window_sec=10.0)
    found = []
    for now[0] in times:
        found.append(counted.died("a") is not None)
    assert found == allowed


def test_processes_are_counted_apart():
    counted = _restarts([0.0], max_deaths=1)
    assert counted.died("a") is not None and counted.died("b") is not None
    assert counted.died("a") is None


def test_a_process_is_due_when_its_time_has_come_and_until_it_is_started():
    now = [0.0]
    counted = _restarts(now, first_backoff_sec=1.0)
    counted.died("a")
    assert counted.due() == []
    now[0] = 1.0
    assert counted.due() == ["a"] == counted.due()
    counted.cancel("a")
    assert counted.due() == []


@pytest.mark.parametrize(
    ("name", "value"), [("max_deaths", -1), ("death_window_sec", 0), ("heartbeat_timeout_sec", -1.0)]
)
def test_limits_that_make_no_sense_are_refused(name, value):
    with pytest.raises(errors.ConfigError, match=f"{name} is {value}"):
        restarts.SupervisionConfig(**{name: value})
