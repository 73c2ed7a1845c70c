"""Tests of `tfquarl.experiments.study_results` and `tfquarl.experiments.study_report`."""

from collections.abc import Callable
import json
import pathlib
from typing import Any

import pytest

from tfquarl.core import errors
from tfquarl.experiments import study_report
from tfquarl.experiments import study_results
from tfquarl.metrics import names
from tfquarl.testing import study_runs


@pytest.fixture
def root(tmp_path):
    """Best S return: (120 + 80) / 2 = 100. I8 is twice as fast, and on seed 2 never gets to 95 %."""
    task = tmp_path / "study" / "task"
    study_runs.write_run(task, "S", 1, [(10.0, 50.0), (20.0, 120.0), (40.0, 110.0)], 50.0, 40.0)
    study_runs.write_run(task, "S", 2, [(10.0, 50.0), (24.0, 80.0)], 60.0, 40.0)
    study_runs.write_run(task, "I8", 1, [(5.0, 50.0), (10.0, 96.0), (15.0, 90.0)], 25.0, 10.0)
    study_runs.write_run(task, "I8", 2, [(5.0, 91.0), (15.0, 94.0)], 30.0, 10.0)
    (task / "I8_seed3").mkdir()  # not ended
    return tmp_path / "study"


def test_times_to_a_share_of_the_best_s_return(root):
    (result,) = study_results.read(root)
    assert list(result.outcomes) == ["S", "I8"]
    assert (result.threshold(0.9), result.threshold(0.95)) == (90.0, 95.0)
    assert result.times_to("I8", 0.9) == [10.0, 5.0]
    assert result.times_to("I8", 0.95) == [10.0, None]
    assert result.times_to("S", 0.95) == [20.0, None]
    ratio = result.times_ratio("I8", 0.95)
    assert ratio is not None and (ratio.ratio, ratio.count) == (2.0, 1)


def test_steady_times_are_of_means_over_three_policies(tmp_path):
    """I8's first good policy is luck: its means are 60, 40 and 90. S's best mean is 100."""
    task = tmp_path / "study" / "task"
    study_runs.write_run(task, "S", 1, [(10.0, 70.0), (20.0, 100.0), (30.0, 100.0), (40.0, 100.0)], 50.0, 1.0)
    study_runs.write_run(task, "I8", 1, [(1.0, 0.0), (2.0, 120.0), (3.0, 60.0), (4.0, -60.0), (20.0, 270.0)], 50.0, 1.0)
    (result,) = study_results.read(tmp_path / "study")
    steady = result.steadied()
    assert steady.outcomes["I8"][0].run.int8.returns == pytest.approx([60.0, 40.0, 90.0])
    assert steady.threshold(0.9) == pytest.approx(90.0)
    assert [seen.times_to("I8", 0.85) for seen in (result, steady)] == [[2.0], [20.0]]
    assert [seen.times_to("S", 0.85) for seen in (result, steady)] == [[20.0], [30.0]]


def test_without_three_policies_nothing_is_steady(root):
    (result,) = study_results.read(root)
    assert result.steadied().threshold(0.9) is None and result.steadied().times_ratio("I8", 0.9) is None


def test_the_report_tells_how_often_arms_were_judged(tmp_path):
    """A verdict of the test's runs is of as many train steps as it has seconds, and 1,000."""
    task = tmp_path / "study" / "task"
    study_runs.write_run(task, "S", 1, [(10.0, 0.0), (20.0, 0.0), (30.0, 40.0), (50.0, 40.0)], 50.0, 1.0)
    study_runs.write_run(task, "S", 2, [(10.0, 0.0), (20.0, 0.0)], 50.0, 1.0)
    study_runs.write_run(task, "F32", 1, [(4.0, 0.0)], 50.0, 1.0)
    study_runs.write_run(task, "I8", 1, [(4.0, 0.0), (24.0, 80.0)], 50.0, 1.0)
    (result,) = study_results.read(tmp_path / "study")
    assert [result.judged_every(arm) for arm in ("S", "F32", "I8")] == [10.0, None, 20.0]
    text = study_report.write_report(tmp_path / "study", tmp_path / "report")
    assert "from one judged policy of task to the next, medians: S 10, F32 --, I8 20." in text


def test_the_threshold_counts_from_the_floor(root):
    study_results.write_floors(root, {"task": -100.0})
    (result,) = study_results.read(root)
    assert result.threshold(0.9) == pytest.approx(80.0)


def test_floors_of_other_tasks_stay(root):
    for floors in ({"task": -100.0, "other": 1.0}, {"task": -50.0}):
        study_results.write_floors(root, floors)
    assert json.loads((root / "floors.json").read_text()) == {"task": -50.0, "other": 1.0}


def test_ratios_pair_the_seeds(root):
    (result,) = study_results.read(root)
    quantities = {"wall_sec": 2.0, "collector_cpu_us": 4.0, "collector_joules": 4.0, "joules": 1.5}
    for quantity, expected in quantities.items():
        ratio = result.ratio("I8", quantity)
        assert ratio is not None and ratio.ratio == pytest.approx(expected), quantity
    assert result.values("S", "collector_cpu_us") == [40_000.0, 40_000.0]


def test_the_last_policy_and_the_late_ones_have_returns(root):
    (result,) = study_results.read(root)
    assert result.values("S", "final_return") == [110.0, 80.0]
    # From 1,005 to 1,040 train steps: all policies are of the last tenth.
    assert result.values("I8", "late_return") == pytest.approx([(50 + 96 + 90) / 3, (91 + 94) / 2])


def test_a_step_is_broken_down_over_all_collectors(root):
    (result,) = study_results.read(root)
    breakdown = result.outcomes["S"][0].breakdown_us
    assert breakdown == {"step": 4000.0, "pull and decode": 1000.0, "load": 500.0}


def test_the_report_has_table_plots_and_data(root, tmp_path):
    (tmp_path / "made").mkdir()
    text = study_report.write_report(root, tmp_path / "made" / "report")
    rows = {line.split("|")[1].strip(): line for line in reversed(text.splitlines()) if line.startswith("| ")}
    assert "never" not in rows["I8"]
    assert "10.0 (1 of 2)" in text and "an estimate: CPU time at 10 W per busy core" in text
    assert "| I8" in text and "2.00" in text and "4.00" in text
    data = json.loads((tmp_path / "made" / "report.json").read_text())
    assert data["scaling"] == {}
    data = data["tasks"]
    assert "| 92.0 | 66.6 .. 117.4 | 85.6 |" in rows["I8"]  # +- 12.706 * 2; (78.667 + 92.5) / 2
    assert data[0]["thresholds"] == {"90%": 90.0, "95%": 95.0}
    assert data[0]["arms"]["I8"]["times_less_than_S"]["wall time"]["ratio"] == 2.0
    written = {path.name for path in (tmp_path / "made").iterdir()}
    assert written == {"report.md", "report.json", "report_task.png", "report_breakdown.png"}
    assert "Geometric means" not in text


@pytest.mark.parametrize(
    ("stock_seeds", "cell"),
    [((1, 2, 3), "2.00 (2.00 .. 2.00) (2 of 3)"), ((1, 2), "2.00 (2.00 .. 2.00)"), ((1, 3), "2.00 (1 of 2)")],
    ids=["one_never", "not_its_seed", "one_alone"],
)
def test_a_ratio_tells_how_many_pairs_it_leaves_out(tmp_path, stock_seeds, cell):
    """I8's seed 3 never earns anything; all others are as good as S in half of its time."""
    task = tmp_path / "study" / "task"
    for seed in stock_seeds:
        study_runs.write_run(task, "S", seed, [(20.0, 100.0)], 50.0, 40.0)
    for seed in (1, 2, 3):
        study_runs.write_run(task, "I8", seed, [(10.0, 0.0 if seed == 3 else 100.0)], 25.0, 10.0)
    text = study_report.write_report(tmp_path / "study", tmp_path / "report")
    row = next(line for line in text.split("How many times less")[1].splitlines() if line.startswith("| I8"))
    wall_time, *to_shares = [part.strip() for part in row.split("|")[2:5]]
    assert to_shares == [cell, cell]
    assert wall_time == "2.00 (2.00 .. 2.00)"


def test_several_tasks_get_geometric_means(root, tmp_path):
    other = root / "other"
    study_runs.write_run(other, "S", 1, [(10.0, 100.0)], 80.0, 40.0, action_repeat=2)
    study_runs.write_run(other, "I8", 1, [(5.0, 10.0)], 10.0, 10.0, action_repeat=2)
    text = study_report.write_report(root, tmp_path / "report")
    held = [line for line in text.splitlines() if "is an action, held for" in line]
    assert held == ["On other an environment step is an action, held for 2 steps of the environment's own."]
    means = text.split("## Geometric means over tasks")[1]
    assert "4.00" in means  # of the wall times: 2 and 8
    assert "2.00 (1 of 2 tasks, 1 of 3 pairs)" in means  # I8 never gets to 95 % on the other task


def test_an_arm_that_the_first_task_lacks_has_a_mean(root, tmp_path):
    """The tasks go by the alphabet: 'another' comes first, and has no I8."""
    for arm, wall_sec in (("S", 80.0), ("F32", 20.0)):
        study_runs.write_run(root / "another", arm, 1, [(10.0, 100.0)], wall_sec, 40.0)
    means = study_report.write_report(root, tmp_path / "report").split("## Geometric means over tasks")[1]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in means.splitlines() if line.startswith("| ")]
    assert [row for row in rows if row[0] in ("F32", "I8")][:2] == [
        ["F32", "4.00 (1 of 2 tasks)"],
        ["I8", "2.00 (1 of 2 tasks)"],
    ]


def test_without_s_there_is_nothing_to_compare_with(tmp_path):
    study_runs.write_run(tmp_path / "study" / "task", "I8", 1, [(5.0, 10.0)], 10.0, 10.0)
    text = study_report.write_report(tmp_path / "study", tmp_path / "report")
    assert "less than S" not in text and "never" in text


@pytest.mark.parametrize(
    ("curve", "status"),
    [
        pytest.param([(5.0, 300.0)], "interrupted", id="interrupted"),
        pytest.param([(5.0, 300.0)], "failed", id="failed"),
        pytest.param([], "failed", id="failed_before_a_verdict"),
        pytest.param([], "completed", id="never_judged"),
    ],
)
def test_runs_that_are_not_whole_are_left_out_and_told(root, tmp_path, curve, status):
    """Two of them beside the one of the fixture, which has not ended; they would make I8 better and cheaper."""
    before = study_results.read(root)[0].values("I8", "joules")
    study_runs.write_run(root / "task", "I8", 4, curve, 12.0, 5.0, status=status)
    study_runs.write_run(root / "other", "S", 1, curve, 12.0, 5.0, status=status)
    (result,) = study_results.read(root)
    assert result.values("I8", "joules") == before == [600.0, 600.0]
    text = study_report.write_report(root, tmp_path / "report")
    assert "or were never judged, 3: other/S_seed1, task/I8_seed3, task/I8_seed4.\n" in text


def _change(run: pathlib.Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes a JSON file of a run."""
    data = json.loads((run / name).read_text())
    change(data)
    (run / name).write_text(json.dumps(data))


def test_a_resumed_run_is_left_out_and_told(root, tmp_path):
    _change(root / "task" / "I8_seed2", "summary.json", lambda summary: summary.update(num_resumes=1))
    (result,) = study_results.read(root)
    assert [outcome.seed for outcome in result.outcomes["I8"]] == [1]
    text = study_report.write_report(root, tmp_path / "report")
    assert "were resumed, or were never judged, 2: task/I8_seed2, task/I8_seed3.\n" in text


def test_runs_whose_processes_were_started_again_are_told(root, tmp_path):
    restarts = {"collector_0": 1, "learner": 2}
    assert "started again" not in study_report.write_report(root, tmp_path / "report")
    _change(root / "task" / "S_seed2", "summary.json", lambda summary: summary.update(num_restarts=restarts))
    text = study_report.write_report(root, tmp_path / "report")
    assert "started again, times and energy included: task/S_seed2 (collector_0 1, learner 2).\n" in text


def test_policies_that_parity_refused_are_told(root, tmp_path):
    """Of I8's six policies three fail: collectors got two of those in float32, and one they got not at all."""
    assert "Refused by parity" not in study_report.write_report(root, tmp_path / "report")
    for seed, rows in ((1, [(1, 1), (0, 1), (1, 1)]), (2, [(0, 1), (1, 1), (0, 0)])):
        with (root / "task" / f"I8_seed{seed}" / "metrics.jsonl").open("a") as file:
            for passed, published in rows:
                values = {names.IS_PARITY_PASSED: passed, names.IS_PUBLISHED: published}
                file.write(json.dumps({"time_sec": 2.0, "group": "convert", "step": 9, "values": values}) + "\n")
    text = study_report.write_report(root, tmp_path / "report")
    told = [line for line in text.splitlines() if line.startswith("Refused by parity")]
    assert told == ["Refused by parity: task I8 3 of 6 policies; collectors acted by float32 in place of 2 of them."]
    runs = json.loads((tmp_path / "report.json").read_text())["tasks"][0]["arms"]["I8"]["runs"]
    assert runs[1]["parity"] == {"num_checked": 3, "num_refused": 2, "num_as_float32": 1}


def test_joules_that_were_measured_are_not_compared_with_estimates(root, tmp_path):
    def measured(summary):
        summary["energy"] |= {"watts_per_core": None, "idle_share": None}

    _change(root / "task" / "I8_seed1", "summary.json", measured)
    (result,) = study_results.read(root)
    ratios = {quantity: result.ratio("I8", quantity) for quantity in ("joules", "collector_joules", "wall_sec")}
    assert {name: ratio and ratio.count for name, ratio in ratios.items()} == {
        "joules": 1,
        "collector_joules": 1,
        "wall_sec": 2,
    }
    text = study_report.write_report(root, tmp_path / "report")
    assert "an estimate: CPU time at 10 W per busy core, idle share 0 or measured by RAPL; carbon at 480 g" in text
    assert "as an estimate tells nothing beside a measurement: task I8 1 of 2 seeds.\n" in text
    _change(root / "task" / "I8_seed2", "summary.json", measured)
    (result,) = study_results.read(root)
    assert result.ratio("I8", "joules") is None


def test_every_machine_is_told(root, tmp_path):
    other = {"cores": 64, "cpu": "Y", "flags": ["avx2"]}
    _change(root / "task" / "I8_seed1", "versions.json", lambda versions: versions.update(machine=other))
    text = study_report.write_report(root, tmp_path / "report")
    assert "\n2 cores (X) and 64 cores (Y, avx2), commits abc.\n" in text


def test_no_runs_are_an_error(tmp_path):
    with pytest.raises(errors.ConfigError, match="has no ended runs"):
        study_results.read(tmp_path)
    with pytest.raises(errors.ConfigError, match="is no directory"):
        study_results.read(tmp_path / "none")


def test_a_damaged_file_of_floors_is_an_error(root):
    (root / "floors.json").write_text("[1")
    with pytest.raises(errors.ArtifactError, match=r"floors\.json can't be read"):
        study_results.read(root)


@pytest.mark.parametrize(
    ("joules", "line"),
    [
        ([None, None, None], None),
        ([950.0, 975.0, 940.0], "had 95 % of these joules (94 .. 98) over all 3 runs."),
        ([950.0, None, 975.0], "had 96 % of these joules (95 .. 98) over 2 of 3 runs."),
    ],
    ids=["not_asked_for", "every_run", "some_runs"],
)
def test_the_report_has_codecarbons_share_of_the_joules(tmp_path, joules, line):
    """Each run has 1,000 J: 50 s of the learner and 50 of collectors at 10 W."""
    for seed, value in enumerate(joules):
        study_runs.write_run(tmp_path / "task", "S", seed, [(1.0, 1.0)], 20.0, 50.0, codecarbon_joules=value)
    text = study_report.write_report(tmp_path, tmp_path / "report")
    assert (line in text) if line else ("codecarbon" not in text)
