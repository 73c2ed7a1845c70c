"""Tests of `tfquarl.experiments.scaling_model`."""

import pytest

from tfquarl.experiments import scaling_model

# A collector makes 1,000 steps a second, the learner has time for 4,000; all of a step takes 1.5 ms.
_COSTS = scaling_model.StepCosts(collector=1e-3, learner=0.25e-3, others=0.25e-3, beside=0.5, startup_sec=5.0)


@pytest.mark.parametrize(
    ("num_collectors", "cores", "steps_per_sec", "limit"),
    [
        pytest.param(1, None, 1000.0, "collectors", id="one collector"),
        pytest.param(3, None, 3000.0, "collectors", id="three collectors"),
        pytest.param(8, None, 4000.0, "learner", id="more than the learner has time for"),
        pytest.param(64, None, 4000.0, "learner", id="many more"),
        pytest.param(8, 2, 1000.0, "cores", id="1.5 cores for 1.5 ms"),
        pytest.param(1, 8, 1000.0, "collectors", id="cores enough"),
        pytest.param(8, 4, 3.5 / 1.5e-3, "cores", id="four cores"),
    ],
)
def test_the_least_limit_holds(num_collectors, cores, steps_per_sec, limit):
    rate = scaling_model.rate(_COSTS, num_collectors, cores)
    assert rate.steps_per_sec == pytest.approx(steps_per_sec)
    assert rate.limit == limit


def test_wall_time_has_the_start_up_in_it():
    assert scaling_model.wall_sec(_COSTS, 2, 20_000) == pytest.approx(15.0)
    assert scaling_model.wall_sec(_COSTS, 64, 20_000) == pytest.approx(10.0)


def test_collectors_that_keep_the_learner_busy():
    assert _COSTS.saturating_collectors == pytest.approx(4.0)


def test_means_over_seeds():
    other = scaling_model.StepCosts(collector=3e-3, learner=0.75e-3, others=0.25e-3, beside=1.5, startup_sec=7.0)
    mean = scaling_model.mean([_COSTS, other])
    assert (mean.collector, mean.learner, mean.others) == pytest.approx((2e-3, 0.5e-3, 0.25e-3))
    assert (mean.beside, mean.startup_sec) == pytest.approx((1.0, 6.0))
