"""Tests of `tfquarl.metrics.return_text`."""

import math

import pytest

from tfquarl.metrics import return_text
from tfquarl.metrics import table


@pytest.mark.parametrize(
    ("value", "beside", "expected"),
    [
        pytest.param(490.0, (), "490.0", id="large"),
        pytest.param(-1234.56, (), "-1234.6", id="thousands"),
        pytest.param(10.04, (), "10.0", id="ten"),
        pytest.param(9.99996, (), "10.0", id="rounded_to_ten"),
        pytest.param(9.876543, (), "9.877", id="below_ten"),
        pytest.param(6.0, (), "6.0", id="whole"),
        pytest.param(0.25, (), "0.25", id="quarter"),
        pytest.param(-0.0150342, (), "-0.01503", id="small"),
        pytest.param(0.0, (), "0.0", id="zero"),
        pytest.param(-0.0, (), "0.0", id="negative_zero"),
        pytest.param(5.6e-17, (), "0.0", id="rewards_that_cancel_out"),
        pytest.param(-0.04, (12.0,), "0.0", id="small_beside_large"),
        pytest.param(0.5, (0.125,), "0.500", id="decimals_of_the_other"),
        pytest.param(0.5, (None, math.nan, math.inf), "0.5", id="beside_what_is_not_known"),
        pytest.param(math.inf, (), "inf", id="infinite"),
        pytest.param(math.nan, (), "--", id="nan"),
        pytest.param(None, (), "--", id="none"),
    ],
)
def test_a_return(value, beside, expected):
    assert return_text.of(value, *beside) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(1.5, "+1.5"), (-1.5, "-1.5"), (-0.0, "+0.0")], ids=["gain", "loss", "none"]
)
def test_a_difference_has_its_sign(value, expected):
    assert return_text.of(value, signed=True) == expected


@pytest.mark.parametrize(
    ("mean", "low", "high", "expected"),
    [
        pytest.param(490.0, 489.96, 490.04, ("490.0", "490.0 .. 490.0"), id="large"),
        pytest.param(92.0, 66.588, 117.412, ("92.0", "66.6 .. 117.4"), id="as_many_decimals_as_the_interval"),
        pytest.param(-0.015034, -0.0152, -0.0148, ("-0.01503", "-0.01520 .. -0.01480"), id="small"),
        pytest.param(-0.02, -12.0, 12.0, ("0.0", "-12.0 .. 12.0"), id="wide"),
        pytest.param(0.5, math.nan, math.nan, ("0.5", "--"), id="one_episode"),
        pytest.param(0.5, None, None, ("0.5", "--"), id="no_interval"),
        pytest.param(None, None, None, ("--", "--"), id="nothing"),
    ],
)
def test_a_mean_and_its_interval_agree_in_decimals(mean, low, high, expected):
    number, interval = return_text.cells(mean, low, high)
    assert (number, interval) == expected and isinstance(number, table.Number)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(480.0, 495.04, "490.0 (480.0 to 495.0)"), (None, None, "490.0")],
    ids=["interval", "one_episode"],
)
def test_a_mean_with_its_interval_behind_it(low, high, expected):
    assert return_text.with_interval(490.0, low, high) == expected


def test_an_interval_in_other_words():
    assert return_text.interval(1.0, 2.5, separator=" to ") == "1.0 to 2.5"
    assert return_text.interval(-1.0, 2.5, signed=True) == "-1.0 .. +2.5"
    assert return_text.interval(math.nan, math.nan, unknown="-") == "-"
