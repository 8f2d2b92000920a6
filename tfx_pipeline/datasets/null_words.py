"""How the sources of presets spell a value that they do not know.

An adapter takes such a word for a missing value, and so does a file of new items.
"""

from collections.abc import Mapping

_HM = frozenset(("unknown", "undefined"))
# The first is MovieLens' own misspelling.
_MOVIELENS = frozenset(("unkonwn", "unknown"))

# By data set and canonical column, in lower case.
NULL_WORDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "hm": dict.fromkeys(("title", "section", "product_type", "colour"), _HM),
    "movielens": dict.fromkeys(("title", "genres"), _MOVIELENS),
    "toys": {"brand": frozenset(("1",))},
}


def is_null_word(text: str, words: frozenset[str]) -> bool:
    """Tell whether a text stands for a missing value.

    Args:
        text: The text.
        words: The words that do, in lower case.

    Example:
        >>> is_null_word(" Unknown", NULL_WORDS["hm"]["colour"])
        True
    """
    text = text.strip()
    return not text or text.casefold() in words
