"""Tests of `tfquarl.metrics.plots`."""

import os
import subprocess
import sys

from matplotlib import image
import numpy as np
import pytest

from tfquarl.core import errors
from tfquarl.metrics import learning_curve
from tfquarl.metrics import plots


def _curve(env_steps, returns):
    steps = np.asarray(env_steps)
    return learning_curve.LearningCurve(steps / 10.0, steps, steps, np.asarray(returns, np.float64))


def _colours_in(path):
    """The colours of a picture, as #RRGGBB."""
    red, green, blue = np.rint(image.imread(path)[..., :3] * 255).astype(np.uint32).reshape(-1, 3).T
    return {f"#{colour:06X}" for colour in np.unique(red << 16 | green << 8 | blue)}


@pytest.mark.parametrize("x_axis", ["env_steps", "time_sec"])
def test_learning_curves_draw_a_line_for_each_arm(tmp_path, x_axis):
    runs = {
        "int8": [_curve([0, 10, 20], [0, 5, 9]), _curve([0, 15, 30], [0, 7, 9])],
        "float32": [_curve([0, 30], [0, 8])],
    }
    plots.learning_curves(runs, tmp_path / "a.png", x_axis, "CartPole", target=8.5)

    colours = _colours_in(tmp_path / "a.png")
    assert {"#0072B2", "#E69F00"} <= colours
    assert "#009E73" not in colours


@pytest.fixture
def axes(monkeypatch):
    """The axes of the plots that a test draws, by the order in which they are written."""
    drawn = []
    finish = plots._finish
    monkeypatch.setattr(plots, "_finish", lambda figure, axes, *rest: (drawn.append(axes), finish(figure, axes, *rest)))
    return drawn


def test_curves_tell_what_their_band_and_their_dashed_line_are(tmp_path, axes):
    one, two = _curve([0, 10], [0, 5]), _curve([0, 10], [0, 9])
    plots.learning_curves({"S": [one, two], "I8": [one]}, tmp_path / "a.png", "env_steps", "CartPole", 475.123)
    plots.learning_curves({"I8": [one]}, tmp_path / "b.png", "env_steps", "CartPole")
    assert [[text.get_text() for text in one.get_legend().get_texts()] for one in axes] == [
        ["S (2 runs)", "I8", "target 475.1"],
        ["I8"],
    ]
    assert [one.get_ylabel() for one in axes] == ["mean return, band: least to highest run", "mean return"]


def test_no_two_of_many_lines_look_alike(tmp_path, axes):
    series = {f"process {index}": ([1, 2], [index, index]) for index in range(17)}
    plots.lines(series, tmp_path / "a.png", "minutes", "MiB", "memory")
    plots.lines(series, tmp_path / "b.png", "minutes", "MiB", "memory", is_joined=False)
    plots.learning_curves({name: [_curve([0, 10], [0, 5])] for name in series}, tmp_path / "c.png", "env_steps", "a")
    for one in axes:
        looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in one.get_lines()}
        assert len(looks) == 17


def test_a_logarithmic_axis_has_ticks_where_points_are(tmp_path, axes):
    plots.lines({"I8": ([1, 2, 64], [1.0, 2.0, 3.0]), "D8": ([4], [1.0])}, tmp_path / "a.png", "n", "x", "t", "x")
    assert [text.get_text() for text in axes[0].get_xticklabels()] == ["1", "2", "4", "64"]
    assert not axes[0].xaxis.get_minorticklocs().size


def test_curves_are_compared_where_all_have_points():
    grid, heights = plots._on_one_grid(
        [(np.array([0, 10]), np.array([0.0, 10.0])), (np.array([4, 8]), np.array([1.0, 1.0]))]
    )

    assert (grid[0], grid[-1]) == (4.0, 8.0)
    np.testing.assert_allclose(heights[0], grid)
    np.testing.assert_allclose(heights[1], 1.0)


def test_stacked_bars_draw_every_part(tmp_path):
    parts = {"environment": [20.0, 20.0], "inference": [300.0, 5.0], "write": [100.0, 20.0]}
    plots.stacked_bars(["stock", "int8"], parts, tmp_path / "a.png", "us per step", "Where a step's time goes")

    assert {"#0072B2", "#E69F00", "#009E73"} <= _colours_in(tmp_path / "a.png")


def test_a_part_that_misses_a_case_is_refused(tmp_path):
    with pytest.raises(ValueError, match="part 'write' has 1 lengths for 2 cases"):
        plots.stacked_bars(["a", "b"], {"write": [1.0]}, tmp_path / "a.png", "us", "x")


@pytest.mark.parametrize("log_axes", ["", "xy"])
def test_lines_draw_every_series(tmp_path, log_axes):
    series = {"int8": ([64, 256], [1.5, 4.4]), "float": ([64, 256], [1.7, 10.3])}
    plots.lines(series, tmp_path / "a.png", "width", "us", "Inference", log_axes)

    assert {"#0072B2", "#E69F00"} <= _colours_in(tmp_path / "a.png")


def test_a_plot_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(errors.StorageError, match=r"missing/a.png failed"):
        plots.lines({"a": ([1], [1])}, tmp_path / "missing" / "a.png", "x", "y", "t")


def test_importing_the_module_does_not_import_matplotlib():
    program = "import sys; from tfquarl.metrics import plots; assert 'matplotlib' not in sys.modules"
    subprocess.run(
        [sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_bands_are_drawn_around_lines(tmp_path):
    series = {"after training": [(2, 10, 5, 15), (8, 100, 90, 110)], "trained": [(2, 50, 50, 50), (8, 100, 90, 110)]}
    plots.bands(series, tmp_path / "a.png", "bits", "return", "CartPole")
    assert {"#0072B2", "#E69F00"} <= _colours_in(tmp_path / "a.png")


def test_points_may_stand_alone(tmp_path):
    series = {"8 bits": ([3, 9], [40, 30]), "4 bits": ([3, 9], [16, 6])}
    plots.lines(series, tmp_path / "a.png", "range", "dB", "a", is_joined=False)
    plots.lines(series, tmp_path / "joined.png", "range", "dB", "a")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "joined.png").read_bytes()
    assert {"#0072B2", "#E69F00"} <= _colours_in(tmp_path / "a.png")


def test_heights_of_bands_may_be_logarithmic(tmp_path):
    series = {"after training": [(2, 1e-1, 5e-2, 2e-1), (8, 1e-4, 1e-4, 1e-4)]}
    plots.bands(series, tmp_path / "log.png", "bits", "error", "CartPole", has_log_heights=True)
    plots.bands(series, tmp_path / "even.png", "bits", "error", "CartPole")
    assert (tmp_path / "log.png").read_bytes() != (tmp_path / "even.png").read_bytes()


def test_histograms_are_drawn_as_steps(tmp_path):
    plots.histograms(
        {"head": ([-1, 0, 1], [0.25, 0.75]), "dense_0": ([-2, 0, 2], [0.5, 0.5])}, tmp_path / "a.png", "weight", "a"
    )
    assert {"#0072B2", "#E69F00"} <= _colours_in(tmp_path / "a.png")
