"""Figures of layers, by hand: a graph that doubles after the layer in question."""

import numpy as np
import pytest

from tfquarl.export import layer_errors
from tfquarl.runtime import flatbuffer


class _Doubling:
    """What follows operator 0 doubles its values; nothing follows operator 1."""

    def run(self, x: np.ndarray, start: int = 0) -> list[np.ndarray]:
        return [x, 2 * x] if start == 1 else [x]


def _layer(
    expected: list,
    got: list,
    float_policy: list | None = None,
    scales: tuple[float, ...] = (0.5,),
    number: int = 0,
    name: str = "dense_0",
) -> layer_errors.LayerValues:
    tensor = flatbuffer.Tensor(4, name, (1, 2), "int8" if scales else "float32", scales, (0,) * len(scales), 0)
    exact = expected if float_policy is None else float_policy
    return layer_errors.LayerValues(
        number, "FULLY_CONNECTED", tensor, np.float32(exact), np.float32(expected), np.float32(got)
    )


def _figures(layer: layer_errors.LayerValues, is_choice: bool = False) -> layer_errors.LayerError:
    (error,) = layer_errors.rank(_Doubling(), [layer], is_choice)  # type: ignore[arg-type]
    return error


def test_own_error_is_told_from_what_came_before():
    error = _figures(_layer(expected=[[4, 3]], got=[[4, 3.5]], float_policy=[[3, 3.5]]))
    assert error.own_sqnr_db == pytest.approx(10 * np.log10(25 / 0.25))
    assert error.sqnr_db == pytest.approx(10 * np.log10(21.25 / 1))
    # Only its own error, (0, 0.5), on the float policy's values, twice: (6, 7) becomes (6, 8).
    assert error.output_sqnr_db == pytest.approx(10 * np.log10(85 / 1))


@pytest.mark.parametrize(
    ("is_choice", "expected"), [(False, 10 * np.log10(200 / 8)), (True, float("inf"))], ids=["actions", "q_values"]
)
def test_what_all_q_values_have_in_common_costs_no_choice(is_choice: bool, expected: float):
    assert _figures(_layer([[5, 5]], [[6, 6]]), is_choice).output_sqnr_db == pytest.approx(expected)


def test_a_choice_is_judged_by_differences():
    error = _figures(_layer([[101, 99]], [[101, 100]]), is_choice=True)
    assert error.output_sqnr_db == pytest.approx(10 * np.log10((2 * 2**2) / (2 * 1**2)))


@pytest.mark.parametrize(
    ("expected", "used", "saturated"),
    [
        # A scale of 0.5 and a zero point of 0: -64 to 63.5, 127.5 wide.
        ([[-64, 63.5]], 1, 0),
        ([[0, 12.75]], 0.1, 0),
        ([[0, 64]], 63.5 / 127.5, 0),
        ([[-64.4, 0]], 64 / 127.5, 0),
        ([[0, 64.6]], 63.5 / 127.5, 0.5),
        ([[-64.6, 70]], 1, 1),
    ],
    ids=["just all", "a tenth", "within a step above", "within a step below", "beyond the upper end", "beyond both"],
)
def test_range(expected: list, used: float, saturated: float):
    error = _figures(_layer(expected, np.clip(expected, -64, 63.5).tolist()))
    assert error.range_used == pytest.approx(used)
    assert error.saturation_share == saturated


def test_floats_have_no_range():
    error = _figures(_layer([[1, 2]], [[1, 2.5]], scales=()))
    assert (error.range_used, error.saturation_share) == (None, None)


def test_what_costs_most_at_the_output_comes_first():
    layers = [
        _layer([[4, 4]], [[4, 4]], name="exact"),
        # Its own noise is largest, but the float policy has larger values there, beside which it is small.
        _layer([[4, 4]], [[4, 6]], float_policy=[[40, 40]], name="harmless"),
        _layer([[4, 4]], [[4, 5]], number=1, name="harmful"),
    ]
    errors = layer_errors.rank(_Doubling(), layers, False)  # type: ignore[arg-type]
    assert [error.name for error in errors] == ["harmful", "harmless", "exact"]
    assert [error.own_sqnr_db for error in errors] == pytest.approx([10 * np.log10(32), 10 * np.log10(8), float("inf")])
    assert [error.output_sqnr_db for error in errors] == pytest.approx(
        [10 * np.log10(32), 10 * np.log10(800), float("inf")]
    )
