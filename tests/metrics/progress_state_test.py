"""Tests of `tfquarl.metrics.progress_state`."""

import math

import pytest

from tfquarl.metrics import names
from tfquarl.metrics import progress_state


class _Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "samples, now, expected",
    [
        ([], 1.0, None),
        ([(0, 0)], 1.0, None),
        ([(0, 0), (0, 5)], 0.0, None),
        ([(0, 0), (0.001, 5000)], 0.25, None),
        ([(0, 0), (0.001, 5000)], 9.0, None),
        ([(0, 0), (2, 100)], 2.0, 50.0),
        ([(0, 0), (2, 100)], 6.0, 50.0),  # less than half a window of silence: as of the last sample
        ([(0, 0), (2, 100)], 10.0, 10.0),  # silence counts
        ([(0, 0), (1, 1000), (10, 1000), (11, 1100)], 11.0, 10.0),  # what happened before the window does not
    ],
    ids=[
        "empty",
        "one",
        "same_time",
        "together",
        "together_and_silence",
        "two",
        "short_silence",
        "long_silence",
        "window",
    ],
)
def test_rate_is_that_of_the_window(samples, now, expected):
    meter = progress_state.RateMeter(window_sec=10.0)
    for sample in samples:
        meter.update(*sample)

    assert meter.rate(now) == expected


def test_a_new_run_knows_nothing():
    view = progress_state.ProgressState(100, _Clock()).view()

    assert (view.env_steps, view.train_steps, view.fraction, view.elapsed_sec) == (0, 0, 0.0, 0.0)
    assert (
        view.env_steps_per_sec is view.int8_return is view.policy_version is view.policy_age_sec is view.eta_sec is None
    )


def test_steps_of_all_collectors_are_added_and_give_rate_and_eta():
    clock = _Clock()
    state = progress_state.ProgressState(1000, clock)
    state.update("collect/0", 20, {})
    state.update("collect/1", 20, {})
    clock.now += 4.0
    state.update("collect/0", 100, {})
    state.update("collect/1", 140, {})
    state.update("train", 40, {})
    clock.now += 1.0
    state.update("train", 90, {})

    view = state.view()
    assert (view.env_steps, view.fraction, view.elapsed_sec) == (240, 0.24, 5.0)
    assert view.env_steps_per_sec == 50.0  # 80 and 120 in 4 s
    assert view.eta_sec == 15.2  # 760 at 50/s
    assert (view.train_steps, view.train_steps_per_sec) == (90, 50.0)


def test_collectors_that_report_one_after_another_give_no_speed_before_each_has_done_so_twice():
    clock = _Clock()
    state = progress_state.ProgressState(200_000, clock)
    speeds = []
    for steps in (2000, 4000, 6000):  # each collector makes 1,000 a second
        for name in ("collect/0", "collect/1"):
            clock.now += 0.05
            state.update(name, steps, {})
            view = state.view()
            speeds.append((view.env_steps_per_sec, view.eta_sec))
        clock.now += 1.9
    assert speeds[:3] == [(None, None), (None, None), (None, None)]
    for env_steps_per_sec, _ in speeds[3:]:
        assert env_steps_per_sec == pytest.approx(2000)


def test_what_the_end_waits_for_is_told():
    state = progress_state.ProgressState(100, _Clock())
    assert state.view().awaited is None
    state.set_awaited("judging the last policy")
    assert state.view().awaited == "judging the last policy"


@pytest.mark.parametrize(
    ("max_wall_time_sec", "eta_sec"),
    [
        pytest.param(None, 14.0, id="none"),
        pytest.param(60.0, 14.0, id="longer than the budget lasts"),
        pytest.param(9.0, 5.0, id="shorter"),
        pytest.param(3.0, 0.0, id="over"),
    ],
)
def test_a_limit_of_time_shortens_the_eta(max_wall_time_sec: float | None, eta_sec: float):
    clock = _Clock()
    state = progress_state.ProgressState(900, clock, max_wall_time_sec)
    state.update("collect/0", 0, {})
    clock.now += 4.0
    state.update("collect/0", 200, {})
    assert state.view().eta_sec == eta_sec  # 700 at 50/s, after 4 s


def test_a_budget_that_is_exceeded_is_full():
    clock = _Clock()
    state = progress_state.ProgressState(100, clock)
    state.update("collect/0", 50, {})
    clock.now += 1.0
    state.update("collect/0", 130, {})

    assert (state.view().fraction, state.view().eta_sec) == (1.0, 0.0)


def test_best_return_is_kept_and_the_float_one_stands_beside_the_last():
    state = progress_state.ProgressState(100, _Clock())
    for int8, float32 in [(10.0, 12.0), (30.0, 31.0), (20.0, 25.0)]:
        state.update("eval", 1, {names.AVERAGE_RETURN: int8, names.FLOAT32_AVERAGE_RETURN: float32})

    view = state.view()
    assert (view.int8_return, view.best_int8_return, view.float32_return) == (20.0, 30.0, 25.0)


def test_returns_while_exploring_are_not_the_policys():
    state = progress_state.ProgressState(100, _Clock())
    state.update("collect/0", 1, {names.AVERAGE_RETURN: 10.0})

    assert state.view().int8_return is None


def test_policy_is_the_oldest_that_acts():
    state = progress_state.ProgressState(100, _Clock())
    state.update("collect/0", 1, {names.POLICY_VERSION: 3.0, names.POLICY_AGE_SEC: 0.5})
    state.update("collect/1", 1, {names.POLICY_VERSION: 2.0, names.POLICY_AGE_SEC: 1.5})
    state.update("collect/2", 1, {names.POLICY_VERSION: math.nan, names.POLICY_AGE_SEC: math.nan})
    state.update("collect/3", 1, {names.POLICY_VERSION: 0.0, names.POLICY_AGE_SEC: 99.0})  # has none yet
    state.update("convert", 1, {names.POLICY_VERSION: 4.0, names.POLICY_AGE_SEC: 0.1})

    assert (state.view().policy_version, state.view().policy_age_sec) == (2, 1.5)


def test_the_side_that_waits_is_told():
    state = progress_state.ProgressState(100, _Clock())
    assert state.view().collectors_waiting is state.view().learner_waiting is None
    state.update("collect/0", 1, {names.BLOCKED_SHARE: 0.5})
    state.update("collect/1", 1, {names.BLOCKED_SHARE: 0.25})
    state.update("train", 1, {names.BLOCKED_SHARE: 0.125})

    assert (state.view().collectors_waiting, state.view().learner_waiting) == (0.375, 0.125)


def test_processes_say_what_they_do():
    state = progress_state.ProgressState(100, _Clock())
    state.set_process("learner", "starts")
    state.set_process("learner", "trains")

    assert state.view().processes == {"learner": "trains"}


def test_a_budget_below_one_step_is_refused():
    with pytest.raises(ValueError, match="num_env_steps is 0"):
        progress_state.ProgressState(0)
