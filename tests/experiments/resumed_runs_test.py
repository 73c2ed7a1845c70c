"""Tests of `tfquarl.experiments.resumed_runs` and its report; the runs themselves are in tests/integration."""

import dataclasses
import json
import random

import pytest

from tfquarl.core import errors
from tfquarl.experiments import kept_plan
from tfquarl.experiments import resumed_report
from tfquarl.experiments import resumed_runs

_RETURNS = {"plain": (100.0, 200.0), "interrupted": (110.0, 230.0), "killed": (90.0, 190.0)}
_OUTCOMES = [
    resumed_runs.Outcome(arm, seed, 0 if arm == "plain" else 2, 20_000, 4_000, value, value - 5, value + 5, 31.44)
    for arm, values in _RETURNS.items()
    for seed, value in enumerate(values, 1)
]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_each_part_of_a_run_has_one_stop(number):
    found = resumed_runs.moments(1000, number, random.Random(3))
    part = 800 / number
    assert len(found) == number
    assert all(100 + part * index <= moment < 100 + part * (index + 1) for index, moment in enumerate(found))


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"seeds": (7,), "num_episodes": 3}, set()),
        ({"bindings": ("Experiment.num_env_steps = 2_000",)}, {"Experiment.num_env_steps"}),
        ({"num_interruptions": 1}, {"num_interruptions"}),
    ],
    ids=["seeds", "budget", "interruptions"],
)
def test_settings_are_what_all_runs_share(changes, differing):
    config = resumed_runs.ResumedRunsConfig(("configs/gin/experiments/dqn_cartpole_int8.gin",))
    first, second = resumed_runs.settings(config), resumed_runs.settings(dataclasses.replace(config, **changes))
    assert {name for name in first if first[name] != second[name]} == differing


def test_runs_of_other_settings_are_not_taken_for_these(tmp_path):
    with kept_plan.go_on(tmp_path, kept_plan.KeptPlan("comparison", {"num_interruptions": "1"})):
        pass
    config = resumed_runs.ResumedRunsConfig(("configs/gin/experiments/dqn_cartpole_int8.gin",))
    with pytest.raises(errors.ConfigError, match="num_interruptions: 1 -> 2"):
        resumed_runs.make(config, tmp_path, lambda line: None)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [((1, 1, 1), "seeds are 1, 1, 1, needs one or more, each once"), ((), "seeds are none")],
    ids=["repeated", "none"],
)
def test_seeds_are_different_ones(seeds, message):
    with pytest.raises(errors.ConfigError, match=message):
        resumed_runs.ResumedRunsConfig(("a.gin",), seeds=seeds)


def test_differences_are_those_of_runs_of_one_seed():
    found = resumed_runs.differences(_OUTCOMES)
    assert {arm: (value.mean, value.count) for arm, value in found.items()} == {
        "interrupted": (20.0, 2),
        "killed": (-10.0, 2),
    }
    assert (found["killed"].low, found["killed"].high) == (-10.0, -10.0)
    # Student's t of one degree is 12.706, the standard error 10.
    assert found["interrupted"].low == pytest.approx(20 - 127.06, abs=0.01)
    assert found["interrupted"].high == pytest.approx(20 + 127.06, abs=0.01)


def test_the_page_has_all_runs_and_how_far_they_lie_apart(tmp_path):
    resumed_report.write(_OUTCOMES, tmp_path / "deep" / "page", "./bazelw run //tools:chaos -- --compare_seeds=1,2")
    page = (tmp_path / "deep" / "page.md").read_text()
    assert "| 1 | interrupted | 2 | 20,000 | 4,000 | 110.0 | 105.0 .. 115.0 | 31.44 |" in page
    assert "Plain runs of different seeds: 100.0 to 200.0." in page
    assert "killed less plain, mean over 2 seeds: -10.0 (-10.0 .. -10.0)" in page
    assert "    ./bazelw run //tools:chaos -- --compare_seeds=1,2\n" in page
    data = json.loads((tmp_path / "deep" / "page.json").read_text())
    assert len(data["runs"]) == 6 and data["less_plain"]["killed"]["mean"] == -10.0
    assert "interrupted less plain" in resumed_report.describe(_OUTCOMES)


def test_one_seed_alone_gives_no_interval():
    text = resumed_report.describe([outcome for outcome in _OUTCOMES if outcome.seed == 1])
    assert "killed less plain, mean over 1 seeds: -10.0 (--)" in text
