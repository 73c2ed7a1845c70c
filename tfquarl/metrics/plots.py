"""Plots as PNG files: learning curves, stacked bars, lines. matplotlib is imported when one is drawn."""

from collections.abc import Mapping
from collections.abc import Sequence
import os
from typing import Any
from typing import Literal

import numpy as np

from tfquarl.core import files
from tfquarl.metrics import learning_curve as learning_curve_lib

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D31", "#000000")
# What tells a ninth line from the first one, whose colour it has.
_DASHES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D")
_GRID_POINTS = 200
_AXES = {
    "env_steps": ("environment steps", lambda curve: curve.env_steps),
    "time_sec": ("wall time (s)", lambda curve: curve.time_sec),
}


def learning_curves(
    runs: Mapping[str, Sequence[learning_curve_lib.LearningCurve]],
    output: str | os.PathLike[str],
    x_axis: Literal["env_steps", "time_sec"],
    title: str,
    target: float | None = None,
) -> None:
    """Mean return of each arm as a line, from its runs' least to their highest as a band.

    An arm is drawn over the part of the axis that all its runs have reached.

    Args:
      runs: curves of at least one run, each with a point, by the name of the arm.
      output: the PNG file.
      x_axis: what the curves are drawn against.
      title: above the plot.
      target: a return to mark by a dashed line.

    Raises:
      StorageError: `output` can't be written.
    """
    figure, axes = _figure(title)
    label, values_of = _AXES[x_axis]
    height = "mean return"
    for (name, curves), colour, dash in zip(runs.items(), _colours(len(runs)), _by_colours(_DASHES, len(runs))):
        positions, returns = _on_one_grid([(values_of(curve), curve.returns) for curve in curves])
        suffix = f" ({len(curves)} runs)" if len(curves) > 1 else ""
        axes.plot(positions, returns.mean(axis=0), color=colour, linestyle=dash, label=name + suffix)
        if len(curves) > 1:
            height = "mean return, band: least to highest run"
            axes.fill_between(positions, returns.min(axis=0), returns.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    if target is not None:
        axes.axhline(target, color="0.4", linestyle="--", linewidth=1, label=f"target {target:.4g}")
    _finish(figure, axes, label, height, output)


def stacked_bars(
    cases: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    output: str | os.PathLike[str],
    x_label: str,
    title: str,
) -> None:
    """One horizontal bar a case, made of its parts, the whole written at its end.

    Args:
      cases: names of the bars, from above.
      parts: by name, one length for each case.
      output: the PNG file.
      x_label: what the lengths are, with their unit.
      title: above the plot.

    Raises:
      ValueError: a part with more or fewer lengths than there are cases.
      StorageError: `output` can't be written.
    """
    for name, lengths in parts.items():
        if len(lengths) != len(cases):
            raise ValueError(f"part '{name}' has {len(lengths)} lengths for {len(cases)} cases")
    figure, axes = _figure(title, height=1.5 + 0.45 * len(cases))
    ends = np.zeros(len(cases))
    for (name, lengths), colour in zip(parts.items(), _colours(len(parts))):
        axes.barh(range(len(cases)), lengths, left=ends, color=colour, label=name)
        ends = ends + np.asarray(lengths, np.float64)
    for row, end in enumerate(ends):
        axes.annotate(f"{end:.4g}", (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(cases)), cases)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    # Bars leave no free corner.
    figure.legend(loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    _finish(figure, axes, x_label, "", output, has_legend=False)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    output: str | os.PathLike[str],
    x_label: str,
    y_label: str,
    title: str,
    log_axes: Literal["", "x", "y", "xy"] = "",
    is_joined: bool = True,
) -> None:
    """Points, joined by lines or alone; a logarithmic axis of positions has its ticks at these.

    Args:
      series: positions and heights by name.
      output: the PNG file.
      x_label: what the positions are, with their unit.
      y_label: what the heights are, with their unit.
      title: above the plot.
      log_axes: which axes are logarithmic.
      is_joined: whether the points of a series are joined.

    Raises:
      StorageError: `output` can't be written.
    """
    figure, axes = _figure(title)
    dashes, markers = _by_colours(_DASHES, len(series)), _by_colours(_MARKERS, len(series))
    for (name, (positions, heights)), colour, dash, marker in zip(
        series.items(), _colours(len(series)), dashes, markers
    ):
        style = dash if is_joined else ""
        axes.plot(positions, heights, color=colour, linestyle=style, marker=marker, markersize=3.5, label=name)
    if "x" in log_axes:
        _set_powers_of_two(axes, [position for positions, _ in series.values() for position in positions])
    if "y" in log_axes:
        axes.set_yscale("log")
    _finish(figure, axes, x_label, y_label, output)


def bands(
    series: Mapping[str, Sequence[tuple[float, float, float, float]]],
    output: str | os.PathLike[str],
    x_label: str,
    y_label: str,
    title: str,
    has_log_heights: bool = False,
) -> None:
    """Points joined by lines, each line with the band of its intervals; positions are on an axis of powers of two.

    Args:
      series: (position, height, low, high) of each point by name, positions above 0.
      output: the PNG file.
      x_label: what the positions are, with their unit.
      y_label: what the heights are, with their unit.
      title: above the plot.
      has_log_heights: whether heights, all above 0, are on a logarithmic axis too.

    Raises:
      StorageError: `output` can't be written.
    """
    figure, axes = _figure(title)
    for (name, points), colour in zip(series.items(), _colours(len(series))):
        positions, heights, lows, highs = (list(column) for column in zip(*points))
        axes.plot(positions, heights, color=colour, marker="o", markersize=3.5, label=name)
        axes.fill_between(positions, lows, highs, color=colour, alpha=0.15, linewidth=0)
    _set_powers_of_two(axes, [point[0] for points in series.values() for point in points])
    if has_log_heights:
        axes.set_yscale("log")
    _finish(figure, axes, x_label, y_label, output)


def histograms(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    output: str | os.PathLike[str],
    x_label: str,
    title: str,
) -> None:
    """Shares of values as steps, on a logarithmic axis: the rare values far out are what matters.

    Args:
      series: edges [bins + 1] and shares [bins] by name.
      output: the PNG file.
      x_label: what the values are.
      title: above the plot.

    Raises:
      StorageError: `output` can't be written.
    """
    figure, axes = _figure(title)
    for (name, (edges, shares)), colour in zip(series.items(), _colours(len(series))):
        axes.stairs(shares, edges, color=colour, label=name)
    axes.set_yscale("log")
    _finish(figure, axes, x_label, "share", output)


def _on_one_grid(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Positions [G] that all curves cover, and each curve's height there, [curves, G]."""
    if len(curves) == 1:
        return curves[0][0], curves[0][1][None]
    start = max(float(positions[0]) for positions, _ in curves)
    end = max(start, min(float(positions[-1]) for positions, _ in curves))
    grid = np.linspace(start, end, _GRID_POINTS)
    return grid, np.stack([np.interp(grid, positions, heights) for positions, heights in curves])


def _colours(count: int) -> list[str]:
    return [_COLOURS[index % len(_COLOURS)] for index in range(count)]


def _by_colours(looks: Sequence[str], count: int) -> list[str]:
    """One of `looks` for each line: the next one where colours begin anew."""
    return [looks[index // len(_COLOURS) % len(looks)] for index in range(count)]


def _set_powers_of_two(axes: Any, positions: Sequence[float]) -> None:
    axes.set_xscale("log", base=2)
    ticks = sorted(set(positions))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.minorticks_off()


def _figure(title: str, height: float = 4.0) -> tuple[Any, Any]:
    from matplotlib import figure as figure_lib  # takes a second: not for those that draw nothing

    figure = figure_lib.Figure(figsize=(7.0, height), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finish(
    figure: Any, axes: Any, x_label: str, y_label: str, output: str | os.PathLike[str], has_legend: bool = True
) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if has_legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    with files.storage_errors(f"writing {os.fspath(output)}"):
        figure.savefig(output, format="png", metadata={"Software": None})
