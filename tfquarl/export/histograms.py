"""Weight and activation histograms of a policy as PNG files. matplotlib is imported when one is drawn."""

from collections.abc import Sequence
import math
import pathlib
from typing import Any

import numpy as np

from tfquarl.core import files
from tfquarl.export import layer_errors
from tfquarl.export import weight_errors

_FLOAT, _QUANTIZED, _LIMIT = (
    "#0072B2",
    "#E69F00",
    "#D55E00",
)  # Okabe and Ito's, which colour-blind readers can tell apart
_COLUMNS = 2
_BINS = 60


def draw_weights(layers: Sequence[weight_errors.LayerWeights], output: pathlib.Path) -> None:
    """A panel for each layer's kernel: how many weights lie where, in float and as they are stored.

    Raises:
      StorageError: `output` can't be written.
    """
    figure, panels = _figure(len(layers))
    for axes, layer in zip(panels, layers):
        error = weight_errors.figures(layer)
        title = f"{layer.layer}: {error.sqnr_db:.1f} dB, largest / rms {error.peak_to_rms:.3g}"
        _draw(axes, layer.exact, layer.stored, title)
    _save(figure, panels, "weight", output)


def draw_activations(layers: Sequence[layer_errors.LayerValues], output: pathlib.Path) -> None:
    """A panel for each quantized tensor: its values in float and as it holds them, and the ends of its integers as dashed lines.

    Raises:
      StorageError: `output` can't be written.
    """
    figure, panels = _figure(len(layers))
    for axes, layer in zip(panels, layers):
        _draw(axes, layer.expected, layer.got, layer.tensor.name)
        for limit in layer.limits or ():
            axes.axvline(limit, color=_LIMIT, linestyle="--", linewidth=1)
    _save(figure, panels, "value", output)


def _figure(count: int) -> tuple[Any, list[Any]]:
    from matplotlib import figure as figure_lib  # takes a second: not for those that draw nothing

    rows = math.ceil(count / _COLUMNS)
    figure = figure_lib.Figure(figsize=(9.0, 0.6 + 2.2 * rows), dpi=130, layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel().tolist()
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


def _draw(axes: Any, exact: np.ndarray, quantized: np.ndarray, title: str) -> None:
    low, high = (float(bound([bound(exact), bound(quantized)])) for bound in (np.min, np.max))
    margin = (high - low) / _BINS or 0.5
    edges = np.linspace(low - margin, high + margin, _BINS + 1)
    axes.hist(exact.ravel(), edges, color=_FLOAT, alpha=0.6, label="float")
    axes.hist(quantized.ravel(), edges, color=_QUANTIZED, histtype="step", label="quantized")
    axes.set_yscale("log")
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, panels: Sequence[Any], quantity: str, output: pathlib.Path) -> None:
    panels[0].legend(fontsize=7, frameon=False)
    figure.supxlabel(quantity, fontsize=9)
    figure.supylabel("count", fontsize=9)
    with files.storage_errors(f"writing {output}"):
        figure.savefig(output, format="png", metadata={"Software": None})
