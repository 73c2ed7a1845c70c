"""Tests of quantization.calibration_set."""

import numpy as np
import pytest

from tfquarl.quantization import calibration_set


@pytest.mark.parametrize("count", [3, 5])
def test_few_observations_are_all_taken(count: int):
    observations = np.float32([[1], [2], [3]])
    assert calibration_set.choose(observations, count) is observations


def test_a_quarter_is_far_out_and_the_rest_is_new():
    # Of the first seven, 9 and -9 lie farthest out; two of eight are chosen so.
    values = [0, 9, 1, 2, -9, 3, 1, 0, 1, 0, 1, 0, 1]
    chosen = calibration_set.choose(np.float32(values)[:, np.newaxis], 8)
    assert chosen[:, 0].tolist() == [9, -9, 0, 1, 0, 1, 0, 1]
    assert chosen.dtype == np.float32


def test_distance_is_in_standard_deviations_of_the_feature():
    observations = np.zeros((20, 2), np.float32)
    observations[:, 0] = np.arange(20) % 2 * 1000.0  # varies much, and lies nowhere far out
    observations[3, 1] = 0.5
    assert calibration_set.choose(observations, 4)[0].tolist() == [1000.0, 0.5]


def test_constant_features_do_no_harm():
    observations = np.ones((9, 2), np.float32)
    assert calibration_set.choose(observations, 4).tolist() == [[1, 1]] * 4


def test_one_is_the_newest():
    assert calibration_set.choose(np.float32([[9], [1], [2]]), 1).tolist() == [[2]]
