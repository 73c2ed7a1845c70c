"""Tests of `tfquarl.experiments.chaos` and its text, without a run."""

import collections

import numpy as np
import pytest

from tfquarl.experiments import chaos
from tfquarl.experiments import chaos_text


@pytest.mark.parametrize(
    ("before", "after", "num_steps", "is_possible"),
    [
        pytest.param([0, 0, 0, 0], [0.0, 0.2, 0, 0], 1, True, id="a_push"),
        pytest.param([0, 1, 0, 0], [0.02, 1.2, 0, 0], 1, True, id="a_push_in_motion"),
        pytest.param([0, 0, 0, 0], [0.0, 0.6, 0, 0], 1, False, id="too_fast"),
        pytest.param([0, 0, 0, 0], [0.0, 0.6, 0, 0], 3, True, id="in_three_steps"),
        pytest.param([0, 0, 0, 0], [1.0, 0.1, 0, 0], 3, False, id="too_far"),
    ],
)
def test_what_cartpole_can_do(before, after, num_steps, is_possible):
    fault = chaos.cartpole_fault(np.float32(before), np.float32(after), num_steps)
    assert (fault is None) == is_possible


def test_the_text_tells_kills_figures_and_faults():
    report = chaos.ChaosReport(collections.Counter({"learner": 4}), {"env steps": 12000, "mean return": 480.25}, [])
    text = chaos_text.describe("processes", report)
    assert "learner killed" in text and "12,000" in text and "480.2" in text and text.endswith("no fault")
    report.faults.append("a transition is half")
    assert chaos_text.describe("processes", report).endswith("FAULT: a transition is half")
