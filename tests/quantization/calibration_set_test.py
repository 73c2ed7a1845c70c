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


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        # The first feature has mean 475 and deviation 487: its 0 and 1000 lie 1.1 deviations out at most, and row 3 in its middle.
        # The second has mean 0.025 and deviation 0.11: row 3 lies 4.4 out.
        pytest.param(1000.0, {3: (500.0, 0.5)}, id="a large feature that varies, a small one that hardly does"),
        # Mean 0.115 and deviation 0.106: row 6 lies 1.7 out, or 16 in variances. Mean 2 and deviation 8.7: row 3 lies 4.4 out, or 0.5.
        pytest.param(0.2, {3: (0.2, 40.0), 6: (0.3, 0.0)}, id="deviations below and above one"),
    ],
)
def test_distance_is_in_standard_deviations_of_the_feature_that_lies_farthest_out(
    step: float, rows: dict[int, tuple[float, float]]
):
    observations = np.zeros((20, 2), np.float32)
    observations[:, 0] = np.arange(20) % 2 * step
    for row, values in rows.items():
        observations[row] = values
    assert calibration_set.choose(observations, 4)[0].tolist() == observations[3].tolist()


def test_distance_is_from_the_mean_to_either_side():
    # The mean is 10: of the first five, 4 lies 6 below and 15 only 5 above.
    values = [10, 15, 4, 10, 11, 10, 10, 10]
    assert calibration_set.choose(np.float32(values)[:, np.newaxis], 4)[:, 0].tolist() == [4, 10, 10, 10]


def test_constant_features_do_no_harm():
    observations = np.ones((9, 2), np.float32)
    assert calibration_set.choose(observations, 4).tolist() == [[1, 1]] * 4


def test_one_is_the_newest():
    assert calibration_set.choose(np.float32([[9], [1], [2]]), 1).tolist() == [[2]]
