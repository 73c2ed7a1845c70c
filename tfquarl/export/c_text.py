"""Numbers and arrays as C text that compiles to the very same values."""

from collections.abc import Iterator
import math

import numpy as np

C_TYPES = {"float32": "float", "int8": "int8_t"}
_BYTES_PER_LINE = 16


def number(value: float) -> str:
    """A float literal that reads back as the same float32.

    Raises:
      ValueError: not a finite number.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} has no C literal")
    text = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    return text + "f"


def row(values: np.ndarray) -> str:
    """The values [size] with commas between them."""
    if np.issubdtype(values.dtype, np.integer):
        return ", ".join(str(int(value)) for value in values)
    return ", ".join(number(float(value)) for value in values)


def matrix(values: np.ndarray) -> str:
    """The values [rows, size], one row a line."""
    return ",\n".join(f"    {{{row(line)}}}" for line in values)


def hex_bytes(data: bytes) -> str:
    """The bytes of a C array, 16 a line."""

    def lines() -> Iterator[str]:
        for start in range(0, len(data), _BYTES_PER_LINE):
            yield "    " + " ".join(f"0x{byte:02x}," for byte in data[start : start + _BYTES_PER_LINE])

    return "\n".join(lines())


def comment(text: str) -> str:
    """Text that can stand in a // comment: one line, no trailing backslash."""
    return " ".join(text.split()).rstrip("\\")
