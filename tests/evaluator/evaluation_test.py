"""Tests of evaluator/evaluation.py."""

import json
import math

import numpy as np
import pytest

from tfquarl.evaluator import episodes
from tfquarl.evaluator import evaluation


def _estimate(*returns: float) -> evaluation.ReturnEstimate:
    return evaluation.ReturnEstimate.of(
        episodes.EpisodeResults(np.array(returns), np.arange(1, 1 + len(returns), dtype=np.int64))
    )


def test_estimate_has_mean_interval_and_all_returns() -> None:
    estimate = _estimate(1.0, 2.0, 6.0)
    assert (estimate.mean_return, estimate.episodes, estimate.mean_length) == (3.0, 3, 2.0)
    assert estimate.returns == (1.0, 2.0, 6.0)
    reach = 4.303 * math.sqrt(7 / 3)  # Student's t of two degrees, times the standard error
    assert (estimate.low, estimate.high) == pytest.approx((3.0 - reach, 3.0 + reach), abs=0.01)


def test_json_is_plain_and_names_what_was_judged() -> None:
    value = evaluation.Evaluation(
        4, 800, "static_wi8_ai8", _estimate(2.0, 2.0), _estimate(3.0), True, 100, 400, first_look=2.5
    )
    assert json.loads(json.dumps(value.to_json(), allow_nan=False)) == {
        "version": 4,
        "train_step": 800,
        "recipe": "static_wi8_ai8",
        "confirmed": True,
        "first_look": 2.5,
        "quantized": {
            "mean_return": 2.0,
            "low": 2.0,
            "high": 2.0,
            "episodes": 2,
            "mean_length": 1.5,
            "returns": [2.0, 2.0],
        },
        "float32": {
            "mean_return": 3.0,
            "low": None,
            "high": None,
            "episodes": 1,
            "mean_length": 1.0,
            "returns": [3.0],
        },
        "size_bytes": {"quantized": 100, "float32": 400},
    }
