"""Tests of quantization.parity."""

import math

import numpy as np
import pytest

from tfquarl.quantization import parity


def test_action_figures():
    got, expected = np.float32([[0.5, 2], [0, 0]]), np.float32([[0, 2], [0, 1]])
    figures = parity.action_figures(got, expected, np.float32([-1, -2]), np.float32([1, 2]))
    assert figures == {
        "action_error_max": 1.0,
        "action_error_mean": 0.375,
        "action_error_max_share": 0.25,
        "action_error_mean_share": 0.125,
    }


@pytest.mark.parametrize(
    ("got", "expected", "error"),
    [
        ([[3, -9]], [[5, -2.5]], 0),
        ([[3, 0]], [[0.5, 0]], 0.5),
        ([[-3, 0]], [[3, 0]], 2),
        ([[math.nan, 0]], [[0, 0]], math.nan),
    ],
    ids=["both beyond the same bounds", "one beyond", "beyond opposite bounds", "not a number"],
)
def test_errors_beyond_the_bounds_are_none_of_the_action(got: list, expected: list, error: float):
    figures = parity.action_figures(np.float32(got), np.float32(expected), np.float32([-1, -2]), np.float32([1, 2]))
    np.testing.assert_equal(figures["action_error_max"], error)
    np.testing.assert_equal(figures["action_error_mean_share"], error / 2 / 2)  # of ranges 2 and 4, over two actions


def test_q_figures():
    expected = np.float32([[1, 3], [4, 2], [0, 0.5]])
    got = np.float32([[1, 3], [3, 3.25], [0, 0.5]])
    figures = parity.q_figures(got, expected)
    assert figures["greedy_agreement"] == pytest.approx(2 / 3)
    assert figures["q_error_max"] == 1.25
    assert figures["q_error_mean"] == pytest.approx(2.25 / 6)
    assert figures["q_spread"] == 1.5
    assert figures["q_error_mean_share"] == pytest.approx(0.25)
    assert figures["regret_share"] == pytest.approx((2 / 3) / 1.5)


def test_outputs_with_bounds_are_actions_and_others_q_values():
    got, expected = np.float32([[1, 2]]), np.float32([[1, 1]])
    assert parity.figures(got, expected) == parity.q_figures(got, expected)
    of_actions = parity.figures(got, expected, (-1, -2), (1, 2))
    assert of_actions == parity.action_figures(got, expected, np.float32([-1, -2]), np.float32([1, 2]))
    assert {*of_actions, *parity.figures(got, expected)} == set(parity.LABELS)


def test_q_figures_without_spread():
    figures = parity.q_figures(np.float32([[1, 1]]), np.float32([[1, 1]]))
    assert (figures["q_error_mean_share"], figures["regret_share"]) == (0.0, 0.0)
    assert parity.q_figures(np.float32([[1, 2]]), np.float32([[1, 1]]))["q_error_mean_share"] == 1.0


def test_the_value_of_the_only_action_may_be_off():
    figures = parity.q_figures(np.float32([[1], [2]]), np.float32([[1.5], [2]]))
    assert (figures["q_error_max"], figures["q_error_mean"], figures["q_spread"]) == (0.5, 0.25, 0.0)
    assert (figures["greedy_agreement"], figures["q_error_mean_share"], figures["regret_share"]) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("got", "expected", "db"),
    [([1.0], [1.0], math.inf), ([1.1], [1.0], 20.0), ([1.0], [0.0], -math.inf)],
    ids=["no noise", "a tenth", "no signal"],
)
def test_sqnr_db(got: list[float], expected: list[float], db: float):
    assert parity.sqnr_db(np.float64(got), np.float64(expected)) == pytest.approx(db)
