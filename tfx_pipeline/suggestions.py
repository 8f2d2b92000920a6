"""What was probably meant: the nearest known word, and those that there are."""

import difflib
from collections.abc import Iterable

_MOST_LISTED = 10


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'X'?` for the nearest known word, or nothing.

    Args:
        word: What was given.
        known: What there is.

    Example:
        >>> suggest("yaer", ["year", "genre"])
        " Did you mean 'year'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def list_some(words: Iterable[str], most: int = _MOST_LISTED) -> str:
    """Return the first of some words, and how many more there are.

    Args:
        words: The words.
        most: How many are named; a longer list hides what is wrong.

    Example:
        >>> list_some(["a", "b", "c", "d"], most=2)
        'a, b and 2 more'
    """
    words = list(words)
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more:,} more" if more > 0 else "")
