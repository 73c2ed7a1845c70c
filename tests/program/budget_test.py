"""Tests of tfquarl/program/budget.py."""

import pytest

from tfquarl.program import budget as budget_lib


def _evaluation(version: int, confirmed: bool) -> dict:
    return {"version": version, "confirmed": confirmed, "quantized": {"mean_return": float(version)}}


def test_confirmed_evaluations_and_the_last_one_are_kept():
    progress = budget_lib.Progress()
    for version, confirmed in [(1, True), (2, False), (3, False), (4, True), (5, False)]:
        progress.add_evaluation(_evaluation(version, confirmed))
    assert [evaluation["version"] for evaluation in progress.evaluations] == [1, 4, 5]
    assert progress.is_judged(5) and not progress.is_judged(6)


def test_an_evaluation_that_is_told_again_is_passed_over():
    progress = budget_lib.Progress()
    for version, confirmed in [(1, True), (2, False), (1, True), (2, False), (3, True)]:
        progress.add_evaluation(_evaluation(version, confirmed))
    assert [evaluation["version"] for evaluation in progress.evaluations] == [1, 3]


@pytest.mark.parametrize(
    ("env_steps", "past_sec", "elapsed_sec", "is_learner_done", "is_used"),
    [
        pytest.param(99, 0.0, 59.9, False, False, id="nothing_used"),
        pytest.param(100, 0.0, 0.0, False, True, id="steps"),
        pytest.param(0, 0.0, 60.0, False, True, id="time"),
        pytest.param(0, 40.0, 19.9, False, False, id="time_left_after_a_resumption"),
        pytest.param(0, 40.0, 20.0, False, True, id="time_with_that_before_a_resumption"),
        pytest.param(0, 0.0, 0.0, True, True, id="train_steps"),
    ],
)
def test_a_budget_is_steps_or_time(env_steps, past_sec, elapsed_sec, is_learner_done, is_used):
    budget = budget_lib.Budget(100, None, 1.0, max_wall_time_sec=60.0, past_sec=past_sec)
    progress = budget_lib.Progress({0: env_steps}, final_version=3, is_learner_done=is_learner_done)
    assert budget.is_used(progress, elapsed_sec) is is_used


def test_without_a_limit_time_does_not_count():
    assert not budget_lib.Budget(100, None, 1.0).is_used(budget_lib.Progress(), 1e9)
