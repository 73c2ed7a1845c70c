"""Tests of tfquarl/experiments/benchmark_suites.py."""

import pytest

from tfquarl.core import errors
from tfquarl.experiments import benchmark_suites
from tfquarl.experiments import benchmark_task


def test_hidden_sizes():
    assert benchmark_suites.parse_numbers("--hidden_sizes", "256,128", "8") == (256, 128)


@pytest.mark.parametrize("text", ["", "256,", "256,0", "wide", "3x256"])
def test_other_hidden_sizes_are_refused(text: str):
    with pytest.raises(errors.ConfigError, match=r"--hidden_sizes is .* like 256,256,256"):
        benchmark_suites.parse_numbers("--hidden_sizes", text, "256,256,256")


def test_every_task_comes_with_every_size():
    choice = benchmark_suites.Choice(tasks=["a:b", "c:d"])
    assert choice.benchmark_tasks(("x:y",), ((8,), (16,))) == tuple(
        benchmark_task.BenchmarkTask(name, sizes) for sizes in ((8,), (16,)) for name in ("a:b", "c:d")
    )


def test_what_is_not_chosen_is_left_to_the_suite():
    assert benchmark_suites.Choice(recipes=["float32"]).given("recipes", "duration_sec") == {"recipes": ("float32",)}


def test_an_unknown_recipe_is_refused_before_anything_starts():
    with pytest.raises(errors.ConfigError, match="did you mean float32"):
        benchmark_suites.run("collection", benchmark_suites.Choice(recipes=["flot32"]))


@pytest.mark.parametrize(
    ("suite", "choice", "message"),
    [
        (
            "conversion",
            {"plot": "x.png"},
            "suite 'conversion' has no --plot; it takes --tasks, --hidden_sizes, --recipes",
        ),
        ("conversion", {"duration_sec": 0.3}, "suite 'conversion' has no --duration_sec; it takes"),
        (
            "preparation",
            {"policies": ["a"], "tasks": ["gym:CartPole-v1"]},
            "has no --tasks; it takes --policies, --recipes",
        ),
        ("learner", {"recipes": ["float32"]}, "suite 'learner' has no --recipes"),
        ("inference", {"num_collectors": [8]}, "suite 'inference' has no --num_collectors"),
    ],
)
def test_what_a_suite_does_not_look_at_is_refused(suite: str, choice: dict, message: str):
    with pytest.raises(errors.ConfigError, match=message):
        benchmark_suites.run(suite, benchmark_suites.Choice(**choice))


@pytest.mark.parametrize(
    ("choice", "output", "message"),
    [
        ({}, "nowhere/x.json", "--output=nowhere/x.json: there is"),
        ({"plot": "no/x.png"}, None, "--plot=no/x.png: there is"),
    ],
    ids=["output", "plot"],
)
def test_files_have_a_place_before_a_suite_begins(choice: dict, output: str | None, message: str):
    with pytest.raises(errors.ConfigError, match=message):
        benchmark_suites.run("inference", benchmark_suites.Choice(**choice), output)
