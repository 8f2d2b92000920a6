"""How the bins of a number are called, and which of them a number falls into."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_MAX_DIGITS = 9
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BIN = re.compile(rf"(?:(?P<sign><=|>=)|(?P<low>{_NUMBER})(?:-|\.\.))?(?P<high>{_NUMBER})")


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


def find_bins(names: Iterable[str], number: float) -> tuple[str, ...]:
    """Finds the bins that a number may lie in, by the names of the bins alone.

    Names say what is in the bins, not where the borders are, and have few digits.

    Args:
        names: As `make_bin_names` made them, in any order.
        number: What to look for.

    Returns:
        The bins whose range, before it was rounded, may have the number, in ascending order. Where
        there is none, the two on either side. Nothing where `names` are not those of several bins,
        or `number` is not finite.

    Example:
        >>> find_bins(["<=1971", "1972-1993", ">=1998"], 1980)
        ('1972-1993',)
        >>> find_bins(["<=1971", "1972-1993", ">=1998"], 1995)
        ('1972-1993', '>=1998')
        >>> find_bins(["blue", "red"], 1980)
        ()
    """
    names = list(names)
    matches = [match for match in map(_BIN.fullmatch, names) if match]
    if len(matches) < max(2, len(names)) or not math.isfinite(number):
        return ()
    digits = max(_count_digits(edge) for match in matches for edge in match.group("low", "high"))
    below: list[str] = []
    holding: list[str] = []
    above: list[str] = []
    for low, high, name in sorted((*_read_edges(match), match[0]) for match in matches):
        side = above if number < _round_off(low, -digits) else holding
        (below if number > _round_off(high, digits) else side).append(name)
    return tuple(holding or (*below[-1:], *above[:1]))


def _read_edges(match: re.Match[str]) -> tuple[float, float]:
    """Reads the least and the greatest number of a bin."""
    high = float(match["high"])
    low = float(match["low"] or high)
    sign = match["sign"]
    return (-math.inf if sign == "<=" else low, math.inf if sign == ">=" else high)


def _count_digits(edge: str | None) -> int:
    """Counts the digits of a number that were not lost in rounding."""
    mantissa = (edge or "").partition("e")[0]
    return len(mantissa.replace("-", "").replace(".", "").lstrip("0"))


def _round_off(edge: float, digits: int) -> float:
    """Moves an edge up, or down if `digits` is negative, by what its rounding may have cost it."""
    if not edge or math.isinf(edge):
        return edge
    unit = 10.0 ** (math.floor(math.log10(abs(edge))) - abs(digits) + 1)
    return edge + math.copysign(0.5001 * unit, digits)


def _name_bins(edges: list[tuple[str, str]]) -> tuple[str, ...]:
    if len(edges) == 1:
        return (_name_range(*edges[0]),)
    inner = [_name_range(low, high) for low, high in edges[1:-1]]
    return (f"<={edges[0][1]}", *inner, f">={edges[-1][0]}") if edges else ()


def _name_range(low: str, high: str) -> str:
    # Two dots where a minus sign would make "-5--2" of a range.
    separator = ".." if "-" in low + high else "-"
    return low if low == high else f"{low}{separator}{high}"
