"""Tests of quantization.bit_widths."""

import pytest

from tfquarl.quantization import bit_widths

_NAMES = {
    "qat_wi8_ai8": (True, bit_widths.BitWidths(8, 8)),
    "ptq_wi2_ai3": (False, bit_widths.BitWidths(2, 3)),
    "qat_wi4_ai8_ii3": (True, bit_widths.BitWidths(4, 8, inputs=3)),
    "ptq_wi4_ai4_oi5_pc": (False, bit_widths.BitWidths(4, 4, outputs=5, per_channel=True)),
    "qat_wi3_ai3_ii4_oi4_pc": (True, bit_widths.BitWidths(3, 3, 4, 4, True)),
}


@pytest.mark.parametrize("name", _NAMES)
def test_names_are_decoded(name: str):
    assert bit_widths.parse(name) == _NAMES[name]


@pytest.mark.parametrize("name", _NAMES)
def test_names_are_made_again(name: str):
    is_trained, widths = _NAMES[name]
    assert f"{'qat' if is_trained else 'ptq'}_{widths.suffix}" == name


@pytest.mark.parametrize(
    "name", ["static_wi8_ai8", "qat", "qat_wi4", "qat_wi4_ai8_xx", "qat_ai8_wi4", "qat_wi4_ai8_pc_ii3"]
)
def test_other_names_are_none_of_these(name: str):
    assert bit_widths.parse(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qat_wi9_ai8", "weights have 9 bits"),
        ("ptq_wi4_ai1", "activations have 1 bits"),
        ("qat_wi4_ai4_ii16", "inputs have 16"),
    ],
)
def test_widths_that_there_are_not(name: str, message: str):
    with pytest.raises(ValueError, match=f"{message}.*needs 2 to 8"):
        bit_widths.parse(name)
