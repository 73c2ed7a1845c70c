"""Tests of `tfquarl.experiments.scaling_measurement` and `tfquarl.experiments.scaling_report`."""

import pytest

from tfquarl.experiments import parity_counts
from tfquarl.experiments import scaling_measurement
from tfquarl.experiments import scaling_model
from tfquarl.experiments import scaling_report
from tfquarl.experiments import study_results
from tfquarl.experiments import training_report
from tfquarl.metrics import jsonl
from tfquarl.metrics import learning_curve

_CURVE = learning_curve.learning_curve([])


def _rows():
    """Two collectors that begin at 4 s; from 10 s, when they have made 2,000 steps, to 20 s they make 10,000."""
    rows = [jsonl.MetricRow(0.5, "energy", 0, {"Energy/joules": 1.0})]
    for index in range(2):
        for time_sec, step in [(2.0, 0), (4.0, 100), (10.0, 1000), (20.0, 6000)]:
            rows.append(jsonl.MetricRow(time_sec, f"collect/{index}", step, {}))
    rows.append(jsonl.MetricRow(5.0, "train", 0, {}))
    rows.append(jsonl.MetricRow(6.0, "train", 10, {}))
    used = {"collector": 6.0, "learner": 4.0, "server": 1.0, "evaluator": 1.0, "launcher": 0.5}
    rows.append(jsonl.MetricRow(10.0, "energy", 10, {f"Energy/cpu_sec_{role}": sec for role, sec in used.items()}))
    return sorted(rows, key=lambda row: row.time_sec)


_SUMMARY = {
    "env_steps": 12_000,
    "energy": {
        "wall_sec": 22.0,
        "cpu_sec_by_process": {
            "collector_0": 8.0,
            "collector_1": 8.0,
            "learner": 9.0,
            "server": 2.0,
            "converter": 1.0,
            "evaluator": 6.5,
            "launcher": 1.0,
        },
    },
}


def test_start_up_is_left_out():
    point = scaling_measurement.measure(_rows(), _SUMMARY)
    assert point is not None
    assert (point.num_collectors, point.steps_per_sec) == (2, 1000.0)
    costs = point.costs
    assert costs.collector == pytest.approx(10.0 / 10_000)
    assert costs.learner == pytest.approx(5.0 / 10_000)
    assert costs.others == pytest.approx((1.0 + 1.0) / 10_000)
    # Evaluator and launcher until 20 s, when collectors end: of what they take from 10 s until the run's end at 22 s.
    assert costs.beside == pytest.approx((5.5 + 0.5) * (10 / 12) / 10.0)
    assert costs.startup_sec == 4.0


def test_a_collectors_last_row_is_no_work():
    rows = [*_rows(), jsonl.MetricRow(21.0, "collect/0", 6000, {}), jsonl.MetricRow(21.0, "collect/1", 6000, {})]
    point = scaling_measurement.measure(rows, _SUMMARY)
    assert point is not None and point.steps_per_sec == 1000.0


def test_verdicts_after_training_are_no_work_beside_it():
    """At 20 s, when the collectors end, the evaluator has taken 1 s more than at 10 s; 4.5 s come after it."""
    rows = [
        *_rows(),
        jsonl.MetricRow(20.0, "energy", 20, {"Energy/cpu_sec_evaluator": 2.0, "Energy/cpu_sec_launcher": 0.9}),
    ]
    point = scaling_measurement.measure(rows, _SUMMARY)
    assert point is not None and point.costs.beside == pytest.approx((1.0 + 0.4) / 10.0)
    assert point.costs.collector == pytest.approx(10.0 / 10_000)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="no rows"),
        pytest.param([row for row in _rows() if row.group != "train"], id="no training"),
        pytest.param([row for row in _rows() if row.group != "energy"], id="no energy"),
        pytest.param([row for row in _rows() if not row.group.startswith("collect")], id="no collectors"),
        pytest.param([row for row in _rows() if row.time_sec <= 10], id="too short"),
    ],
)
def test_runs_that_tell_nothing_have_no_figures(rows):
    assert scaling_measurement.measure(rows, _SUMMARY) is None


def _result(task, arms, num_collectors=2):
    """Of one seed; `arms` are steps per second and CPU seconds of a collector per step."""
    outcomes = {}
    for arm, (steps_per_sec, collector) in arms.items():
        costs = scaling_model.StepCosts(collector, 0.25e-3, 0.25e-3, 0.5, 5.0)
        run = training_report.Run({"env_steps": 20_000}, {"machine": {"cores": 2}}, _CURVE, _CURVE)
        point = scaling_measurement.Point(num_collectors, steps_per_sec, costs)
        outcomes[arm] = [study_results.Outcome(arm, 1, run, 0.0, {}, parity_counts.ParityCounts(0, 0, 0), point)]
    return study_results.TaskResult(task, outcomes, 0.0)


def test_the_model_is_checked_and_goes_on(tmp_path):
    studied = _result("task", {"S": (800.0, 1e-3), "I8": (2500.0, 0.1e-3)})
    four = _result("task", {"S": (1250.0, 1e-3)}, num_collectors=4)
    elsewhere = _result("other task", {"S": (1.0, 1e-3)}, num_collectors=4)
    lines, data = scaling_report.write([studied], [four, elsewhere], tmp_path / "report")
    text = "\n".join(lines)
    # Two cores, of which 0.5 have other work: 1.5 s of CPU a second for 1.5 ms, or 0.6 ms, a step.
    assert "| S | 2 | 1 | 800.0 | 1,000 | 1.25 | cores |" in text
    assert "| S (not in the model) | 4 | 1 | 1,250 | 1,000 | 0.80 | cores |" in text
    assert "| I8 | 2 | 1 | 2,500 | 2,500 | 1.00 | cores |" in text
    assert "S 4, I8 0.4" in text
    # A core each: 5 s + 20,000 / 1,000 against 5 s + 20,000 / 4,000; with four collectors S too keeps the learner busy.
    assert "| 1 | 1,000 | collectors | 2.50 | learner |" in text
    assert "| 8 | 4,000 | learner | 1.00 | learner |" in text
    assert (tmp_path / "report_scaling.png").read_bytes().startswith(b"\x89PNG")
    (first, *_) = data["task"]["I8"]["predicted_with_a_core_each"]
    assert first == {"num_collectors": 1, "steps_per_sec": 4000.0, "limit": "learner", "wall_time_ratio": 2.5}
    assert [one["num_collectors"] for one in data["task"]["S"]["measured"]] == [2, 4]


def test_without_s_there_is_no_model(tmp_path):
    assert scaling_report.write([_result("task", {"I8": (1.0, 1e-3)})], [], tmp_path / "report") == ([], {})
    assert not list(tmp_path.iterdir())
