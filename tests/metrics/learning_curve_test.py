"""Tests of `tfquarl.metrics.learning_curve`."""

import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.metrics import jsonl
from tfquarl.metrics import learning_curve
from tfquarl.metrics import names

_ROWS = [
    jsonl.MetricRow(1.0, "collect/0", 100, {names.AVERAGE_RETURN: 5.0}),
    jsonl.MetricRow(2.0, "collect/1", 50, {}),
    jsonl.MetricRow(3.0, "eval", 10, {names.AVERAGE_RETURN: 20.0, names.FLOAT32_AVERAGE_RETURN: 25.0}),
    jsonl.MetricRow(4.0, "collect/0", 300, {}),
    jsonl.MetricRow(5.0, "train", 40, {names.LOSS: 1.0}),
    jsonl.MetricRow(6.0, "eval", 30, {names.AVERAGE_RETURN: 90.0}),
    jsonl.MetricRow(7.0, "eval", 35, {"Other": 1.0}),
]


def test_points_are_the_evaluations():
    curve = learning_curve.learning_curve(_ROWS)

    np.testing.assert_array_equal(curve.time_sec, [3.0, 6.0])
    np.testing.assert_array_equal(curve.env_steps, [150, 350])
    np.testing.assert_array_equal(curve.train_steps, [10, 30])
    np.testing.assert_array_equal(curve.returns, [20.0, 90.0])


@pytest.mark.parametrize(
    ("published", "time_sec", "env_steps"),
    [
        pytest.param([(2.5, 10), (4.5, 30)], [2.5, 4.5], [150, 350], id="each_before_its_verdict"),
        pytest.param([(3.5, 30)], [3.0, 3.5], [150, 150], id="collection_goes_on_while_one_is_judged"),
        pytest.param([(0.5, 10), (2.5, 10)], [2.5, 6.0], [150, 350], id="a_train_step_came_again"),
    ],
)
def test_a_policy_counts_from_its_last_publication(published, time_sec, env_steps):
    rows = [jsonl.MetricRow(at_sec, "convert", train_step, {}) for at_sec, train_step in published]
    curve = learning_curve.learning_curve(sorted([*_ROWS, *rows], key=lambda row: row.time_sec))

    np.testing.assert_array_equal(curve.time_sec, time_sec)
    np.testing.assert_array_equal(curve.env_steps, env_steps)
    np.testing.assert_array_equal(curve.returns, [20.0, 90.0])


def test_points_are_in_the_order_of_publication():
    """A resumed run may judge an old policy once more; two verdicts on one policy stay in their order."""
    rows = [jsonl.MetricRow(float(step), "convert", step, {}) for step in (10, 20, 30)]
    verdicts = [(31.0, 20, 2.0), (32.0, 30, 3.0), (33.0, 10, 1.0), (34.0, 20, 4.0)]
    rows += [jsonl.MetricRow(at, "eval", step, {names.AVERAGE_RETURN: value}) for at, step, value in verdicts]
    curve = learning_curve.learning_curve(rows)

    assert curve.time_sec.tolist() == [10.0, 20.0, 20.0, 30.0] and curve.train_steps.tolist() == [10, 20, 20, 30]
    assert curve.returns.tolist() == [1.0, 2.0, 4.0, 3.0]
    assert curve.time_to(2.0) == 20.0


def test_the_float_policy_has_a_curve_too():
    assert learning_curve.learning_curve(_ROWS, names.FLOAT32_AVERAGE_RETURN).returns.tolist() == [25.0]


@pytest.mark.parametrize("target, time_sec", [(10.0, 3.0), (20.0, 3.0), (20.5, 6.0), (91.0, None)], ids=str)
def test_time_to_a_target(target, time_sec):
    assert learning_curve.learning_curve(_ROWS).time_to(target) == time_sec


@pytest.mark.parametrize(
    "share, expected", [(0.1, 50.0), (0.2, 60.0), (1.0, 40.0)], ids=["policies_100_and_91", "and_80", "all"]
)
def test_the_late_return_is_of_the_last_policies(share, expected):
    train_steps = np.array([0, 80, 91, 100])
    curve = learning_curve.LearningCurve(
        1.0 * train_steps, train_steps, train_steps, np.array([-20.0, 80.0, 40.0, 60.0])
    )

    assert curve.late_return(share) == pytest.approx(expected)


@pytest.mark.parametrize(
    "count, train_steps, returns",
    [
        pytest.param(1, [0, 10, 20, 30], [1.0, 5.0, 3.0, 7.0], id="each by itself"),
        pytest.param(3, [20, 30], [3.0, 5.0], id="three"),
        pytest.param(4, [30], [4.0], id="all"),
        pytest.param(5, [], [], id="fewer than that"),
    ],
)
def test_a_running_mean_is_at_the_last_of_its_policies(count, train_steps, returns):
    steps = np.array([0, 10, 20, 30])
    curve = learning_curve.LearningCurve(2.0 * steps, 3 * steps, steps, np.array([1.0, 5.0, 3.0, 7.0]))
    means = curve.running_mean(count)

    assert means.train_steps.tolist() == train_steps and means.returns == pytest.approx(returns)
    assert means.time_sec.tolist() == [2.0 * step for step in train_steps]
    assert means.env_steps.tolist() == [3 * step for step in train_steps]


def test_a_file_is_read(tmp_path):
    writer = jsonl.JsonLinesWriter(tmp_path / "metrics.jsonl")
    for row in _ROWS:
        writer.write(row)
    writer.close()

    assert learning_curve.read_learning_curve(tmp_path / "metrics.jsonl").returns.tolist() == [20.0, 90.0]


def test_a_run_that_was_never_judged_has_no_curve(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")

    with pytest.raises(errors.ArtifactError, match=r"metrics.jsonl has no 'Metrics/AverageReturn'"):
        learning_curve.read_learning_curve(tmp_path / "metrics.jsonl")
