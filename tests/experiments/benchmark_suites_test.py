"""Tests of tfquarl/experiments/benchmark_suites.py."""

import pytest

from tfquarl.core import errors
from tfquarl.experiments import benchmark_suites
from tfquarl.experiments import benchmark_task


def test_hidden_sizes():
    assert benchmark_suites.parse_numbers("--hidden_sizes", "256,128") == (256, 128)


@pytest.mark.parametrize("text", ["", "256,", "256,0", "wide", "3x256"])
def test_other_hidden_sizes_are_refused(text: str):
    with pytest.raises(errors.ConfigError, match=r"--hidden_sizes is .* like 256,256,256"):
        benchmark_suites.parse_numbers("--hidden_sizes", text)


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


def test_conversion_has_no_plot():
    with pytest.raises(errors.ConfigError, match="no --plot"):
        benchmark_suites.run("conversion", benchmark_suites.Choice(plot="x.png"))
