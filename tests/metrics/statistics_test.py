"""Tests of `tfquarl.metrics.statistics`."""

import math

from hypothesis import given
from hypothesis import strategies
import numpy as np
import pytest
from scipy import stats

from tfquarl.metrics import statistics


def test_mean_interval_is_scipys_bca_interval():
    values = np.random.default_rng(1).exponential(100.0, size=60)
    reference = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=20000, rng=2).confidence_interval

    interval = statistics.mean_and_interval(values)

    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(reference.low, rel=0.02)
    assert interval.high == pytest.approx(reference.high, rel=0.02)
    assert interval.count == 60


def test_interval_holds_the_true_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(3)
    intervals = [statistics.mean_and_interval(generator.exponential(1.0, 40), confidence=0.8) for _ in range(150)]

    assert 0.68 <= np.mean([interval.low <= 1.0 <= interval.high for interval in intervals]) <= 0.92


@pytest.mark.parametrize("count", [2, 3, 5, 10, 19])
def test_few_values_intervals_hold_the_true_mean_as_often_as_they_say(count):
    samples = np.random.default_rng(0).normal(10.0, 2.0, size=(2000, count))
    intervals = [statistics.mean_and_interval(sample) for sample in samples]

    assert 0.92 <= np.mean([interval.low <= 10.0 <= interval.high for interval in intervals]) <= 0.98


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_few_pairs_intervals_hold_the_true_ratio_as_often_as_they_say(count):
    generator = np.random.default_rng(0)
    samples = np.exp(generator.normal(0.0, 0.2, size=(1000, 2, count)))
    intervals = [statistics.ratio_and_interval(3.0 * numerators, denominators) for numerators, denominators in samples]

    assert 0.91 <= np.mean([interval.low <= 3.0 <= interval.high for interval in intervals]) <= 0.98


@pytest.mark.parametrize(
    "values, confidence, reach",
    [
        ([1.0, 3.0], 0.95, 12.706),  # t of 1 degree, times sqrt(2) / sqrt(2)
        ([1.0, 3.0], 0.5, 1.0),  # Cauchy's quartile
        ([1.0, 2.0, 3.0], 0.95, 4.303 / math.sqrt(3)),
        ([0.0, 0.0, 4.0, 4.0], 0.95, 3.182 * math.sqrt(16 / 3) / 2),
        ([*range(10)], 0.99, 3.250 * math.sqrt(82.5 / 9 / 10)),
    ],
    ids=["two", "two_half", "three", "four", "ten"],
)
def test_intervals_of_few_values_are_those_of_the_tables_of_student(values, confidence, reach):
    interval = statistics.mean_and_interval(values, confidence)

    assert interval.low == pytest.approx(interval.mean - reach, rel=1e-3)
    assert interval.high == pytest.approx(interval.mean + reach, rel=1e-3)


def test_interval_of_three_pairs_is_students_of_the_logarithms():
    interval = statistics.ratio_and_interval([1.0, 2.0, 4.0], [1.0, 1.0, 1.0])

    reach = 4.303 * math.log(2) / math.sqrt(3)
    assert interval.ratio == 2.0
    assert interval.low == pytest.approx(2 * math.exp(-reach), rel=1e-3)
    assert interval.high == pytest.approx(2 * math.exp(reach), rel=1e-3)


def test_equal_values_have_an_interval_of_no_width():
    assert statistics.mean_and_interval([500.0] * 20) == statistics.MeanInterval(500.0, 500.0, 500.0, 20)


def test_one_value_says_nothing_of_its_interval():
    interval = statistics.mean_and_interval([7.0])

    assert (interval.mean, interval.count) == (7.0, 1)
    assert math.isnan(interval.low) and math.isnan(interval.high)
    assert not interval.low >= 5.0  # so that no target counts as surely reached
    assert interval.to_json() == {"mean": 7.0, "low": None, "high": None, "count": 1}


def test_same_seed_same_interval():
    values = np.random.default_rng(0).normal(size=20)

    assert statistics.mean_and_interval(values, seed=4) == statistics.mean_and_interval(values, seed=4)
    assert statistics.mean_and_interval(values, seed=4) != statistics.mean_and_interval(values, seed=5)


def test_more_confidence_is_a_wider_interval():
    values = list(range(30))
    narrow, wide = (statistics.mean_and_interval(values, confidence=level) for level in (0.5, 0.99))

    assert wide.low < narrow.low < narrow.high < wide.high


@given(strategies.lists(strategies.floats(-1e6, 1e6), min_size=20, max_size=30))
def test_interval_of_many_lies_within_the_values(values):
    interval = statistics.mean_and_interval(values)

    assert min(values) - 1e-6 <= interval.low <= interval.high <= max(values) + 1e-6


def test_large_samples_are_resampled_in_parts():
    interval = statistics.mean_and_interval(np.tile([0.0, 1.0], 5000))

    assert interval.low == pytest.approx(0.5 - 1.96 * 0.005, abs=0.001)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.005, abs=0.001)


@pytest.mark.parametrize(
    "values, confidence, message",
    [
        ([], 0.95, "at least one"),
        ([1.0, math.nan], 0.95, "finite"),
        ([[1.0]], 0.95, "one dimension"),
        ([1.0], 1.0, "confidence is 1"),
    ],
    ids=["none", "nan", "two_dimensions", "certain"],
)
def test_what_has_no_mean_is_refused(values, confidence, message):
    with pytest.raises(ValueError, match=message):
        statistics.mean_and_interval(values, confidence)


def test_noise_that_both_sides_share_leaves_the_ratio_sharp():
    noise = np.random.default_rng(0).uniform(1.0, 10.0, size=25)

    interval = statistics.ratio_and_interval(3.0 * noise, noise)

    assert interval.ratio == pytest.approx(3.0)
    assert (interval.low, interval.high) == (pytest.approx(3.0), pytest.approx(3.0))
    assert interval.count == 25


def test_ratio_interval_holds_the_ratio():
    generator = np.random.default_rng(0)
    interval = statistics.ratio_and_interval(generator.normal(20, 1, 30), generator.normal(10, 1, 30))

    assert interval.low < 2.0 < interval.high
    assert 1.8 < interval.low < interval.ratio < interval.high < 2.2


def test_ratio_of_one_pair_has_no_interval():
    interval = statistics.ratio_and_interval([6.0], [2.0])

    assert interval.to_json() == {"ratio": 3.0, "low": None, "high": None, "count": 1}


@pytest.mark.parametrize(
    "a, b", [([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([1.0], [-1.0])], ids=["lengths", "zero", "negative"]
)
def test_what_has_no_ratio_is_refused(a, b):
    with pytest.raises(ValueError, match="pairs of positive values"):
        statistics.ratio_and_interval(a, b)


def test_median_and_quartiles():
    assert statistics.median_and_spread([5.0, 1.0, 2.0, 4.0, 3.0]) == statistics.MedianSpread(3.0, 2.0, 4.0, 5)


@pytest.mark.parametrize("percent, expected", [(0, 1.0), (50, 2.0), (75, 2.5), (100, 3.0)])
def test_percentile(percent, expected):
    assert statistics.percentile([3.0, 1.0, 2.0], percent) == expected


def test_percent_beyond_100_is_refused():
    with pytest.raises(ValueError, match="percent is 101"):
        statistics.percentile([1.0], 101)


def test_geometric_mean_of_a_ratio_and_its_inverse_is_one():
    assert statistics.geometric_mean([4.0, 0.25]) == pytest.approx(1.0)


def test_geometric_mean_needs_positive_values():
    with pytest.raises(ValueError, match="positive"):
        statistics.geometric_mean([1.0, 0.0])
