"""Returns and their intervals in words: one decimal from 10 on, up to four digits that matter where rewards are small."""

import math

from tfquarl.metrics import table

_DIGITS = 4
_MOST_DECIMALS = 9  # rewards that cancel out leave 1e-17 or so


def of(value: float | None, *beside: float | None, unknown: str = "--", signed: bool = False) -> str:
    """'490.0', '-0.01503', never '-0.0'.

    Args:
      value: a return, or a difference of two; None or NaN where it is not known.
      beside: what it is read together with, e.g. the ends of its interval: of all these the decimals are the same.
      unknown: for a value that is not known.
      signed: '+1.5' for 1.5.
    """
    if value is None or math.isnan(value):
        return unknown
    return f"{value:{'+' if signed else ''}z.{_decimals(value, *beside)}f}"


def interval(
    low: float | None,
    high: float | None,
    *beside: float | None,
    separator: str = " .. ",
    unknown: str = "--",
    signed: bool = False,
) -> str:
    """'12.3 .. 45.6'; `unknown` where one episode alone tells nothing. Further arguments as for `of`."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return unknown
    return separator.join(of(end, low, high, *beside, signed=signed) for end in (low, high))


def with_interval(mean: float | None, low: float | None, high: float | None) -> str:
    """'490.0 (480.0 to 495.0)', the mean alone where there is no interval."""
    ends = interval(low, high, mean, separator=" to ", unknown="")
    return of(mean, low, high) + (f" ({ends})" if ends else "")


def cells(
    mean: float | None, low: float | None, high: float | None, separator: str = " .. ", unknown: str = "--"
) -> tuple[table.Number, str]:
    """A mean return and its interval as two cells of a table, with the same decimals."""
    number = table.Number(of(mean, low, high, unknown=unknown))
    return number, interval(low, high, mean, separator=separator, unknown=unknown)


def _decimals(*values: float | None) -> int:
    """As many as the largest one's digits that matter take, without zeros that all of the values would end with."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    size = max(map(abs, known), default=0.0)
    exponent = int(f"{size:.{_DIGITS - 1}e}".partition("e")[2])  # of the rounded size: 9.9999 is 10.0
    if exponent > 0:
        return 1
    most = min(_DIGITS - 1 - exponent, _MOST_DECIMALS)
    return max([1, *(len(f"{value:.{most}f}".rstrip("0").partition(".")[2]) for value in known)])
