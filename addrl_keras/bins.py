"""How the bins of a number are called, and which of them a number falls into."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_MAX_DIGITS = 9
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BIN = re.compile(rf"(?:<=|{_NUMBER}(?:-|\.\.))?(?P<high>{_NUMBER})")


def make_bin_names(
    lows: Iterable[float], highs: Iterable[float], is_integer: bool
) -> tuple[str, ...]:
    """Makes the names of bins from the smallest and the largest value in each.

    The names have no spaces, so that they can be typed on a command line. Numbers that are not
    whole get as few digits as keep the names different.

    Args:
        lows: Smallest value of each bin, ascending.
        highs: Largest value of each bin.
        is_integer: Whether the column holds whole numbers.

    Returns:
        One name per bin: `<=HIGH` for the first, `>=LOW` for the last, `LOW-HIGH` in between.

    Example:
        >>> make_bin_names([1950, 1972, 1998], [1971, 1993, 2002], is_integer=True)
        ('<=1971', '1972-1993', '>=1998')
        >>> make_bin_names([0.001, 0.0131, 0.02], [0.0129, 0.0199, 0.5], is_integer=False)
        ('<=0.013', '0.013-0.02', '>=0.02')
    """
    edges = list(zip(lows, highs, strict=True))
    if is_integer:
        return _name_bins([(f"{low:.0f}", f"{high:.0f}") for low, high in edges])
    for digits in range(2, _MAX_DIGITS + 1):
        names = _name_bins([(f"{low:.{digits}g}", f"{high:.{digits}g}") for low, high in edges])
        if len(set(names)) == len(names):
            break
    return names


def find_bin(names: Iterable[str], number: float) -> str | None:
    """Finds the bin that a number falls into, by the names of the bins alone.

    Args:
        names: As `make_bin_names` made them, in any order.
        number: What to look for; between two bins it falls into the upper one.

    Returns:
        The name; None where `names` are not those of two bins or more, or `number` is NaN.

    Example:
        >>> find_bin(["<=1971", "1972-1993", ">=1998"], 1980)
        '1972-1993'
        >>> find_bin(["blue", "red"], 1980) is None
        True
    """
    highs = {name: _read_high(name) for name in names}
    if math.isnan(number) or not any(name.startswith(">=") for name in highs):
        return None
    above = {name: high for name, high in highs.items() if high is not None and number <= high}
    return min(above, key=lambda name: above[name], default=None)


def _read_high(name: str) -> float | None:
    """Reads the largest value of a bin; None of a name that no bin has."""
    if name.startswith(">="):
        return math.inf
    found = _BIN.fullmatch(name)
    return float(found["high"]) if found else None


def _name_bins(edges: list[tuple[str, str]]) -> tuple[str, ...]:
    if len(edges) == 1:
        return (_name_range(*edges[0]),)
    inner = [_name_range(low, high) for low, high in edges[1:-1]]
    return (f"<={edges[0][1]}", *inner, f">={edges[-1][0]}") if edges else ()


def _name_range(low: str, high: str) -> str:
    # Two dots where a minus sign would make "-5--2" of a range.
    separator = ".." if "-" in low + high else "-"
    return low if low == high else f"{low}{separator}{high}"
