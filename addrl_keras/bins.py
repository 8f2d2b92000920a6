"""How the bins of a number are called."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_DIGITS = 9


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


def _name_bins(edges: list[tuple[str, str]]) -> tuple[str, ...]:
    if len(edges) == 1:
        return (_name_range(*edges[0]),)
    inner = [_name_range(low, high) for low, high in edges[1:-1]]
    return (f"<={edges[0][1]}", *inner, f">={edges[-1][0]}") if edges else ()


def _name_range(low: str, high: str) -> str:
    # Two dots where a minus sign would make "-5--2" of a range.
    separator = ".." if "-" in low + high else "-"
    return low if low == high else f"{low}{separator}{high}"
