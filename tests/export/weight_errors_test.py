"""Figures of weights, by hand."""

import numpy as np
import pytest

from tfquarl.export import weight_errors


def _layer(name: str, exact: list, stored: list) -> weight_errors.LayerWeights:
    return weight_errors.LayerWeights(name, "int8", np.float32(exact), np.float32(stored))


def test_figures():
    got = weight_errors.figures(_layer("dense_0", [[-2, 0.5], [0, 0.25]], [[-2, 0.5], [0, 0]]))
    assert got.sqnr_db == pytest.approx(10 * np.log10(4.3125 / 0.0625))
    assert got.largest == 2
    assert got.peak_to_rms == pytest.approx(2 / np.sqrt(4.3125 / 4))
    assert got.zeroed_share == 0.25  # the zero that was one before doesn't count


@pytest.mark.parametrize(
    ("exact", "stored", "expected"),
    [
        ([[1, 2]], [[1, 2]], (float("inf"), 2, 2 / np.sqrt(2.5), 0)),
        ([[0, 0]], [[0, 0]], (float("inf"), 0, 0, 0)),
        ([[3, 4]], [[0, 0]], (0, 4, 4 / np.sqrt(12.5), 1)),
    ],
    ids=["exact", "all zero", "all lost"],
)
def test_extremes(exact: list, stored: list, expected: tuple[float, ...]):
    got = weight_errors.figures(_layer("head", exact, stored))
    assert (got.sqnr_db, got.largest, got.peak_to_rms, got.zeroed_share) == pytest.approx(expected)


def test_the_worst_comes_first():
    layers = [_layer("a", [[1]], [[1]]), _layer("b", [[1]], [[0.5]]), _layer("c", [[1]], [[0.9]])]
    assert [error.layer for error in weight_errors.rank(layers)] == ["b", "c", "a"]
