"""C literals read back as the same numbers."""

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from tfquarl.export import c_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.0e+00f"), (-0.5, "-5.0e-01f"), (0.0, "0.0e+00f"), (1 / 128, "7.8125e-03f")],
    ids=["one", "negative", "zero", "step of tanh"],
)
def test_number(value: float, text: str):
    assert c_text.number(value) == text


@hypothesis.given(strategies.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_the_same_float32(value: float):
    assert np.float32(float(c_text.number(value)[:-1])) == np.float32(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_has_no_literal_is_refused(value: float):
    with pytest.raises(ValueError, match="no C literal"):
        c_text.number(value)


def test_matrix_and_bytes():
    assert c_text.matrix(np.asarray([[1, -2], [3, 4]], np.int8)) == "    {1, -2},\n    {3, 4}"
    assert c_text.hex_bytes(bytes(range(17))).splitlines()[1] == "    0x10,"


def test_a_comment_stays_one_line():
    assert c_text.comment("a\nb \\") == "a b "
