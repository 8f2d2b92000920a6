"""Source files of MovieLens-100K: where they come from, and the parsing of their rows."""

import collections
import pathlib
from collections.abc import Mapping
from typing import Any

from tfx_pipeline.datasets.null_words import NULL_WORDS, is_null_word
from tfx_pipeline.datasets.source import PackageSource
from tfx_pipeline.datasets.tables import Row, load_rows

SOURCE = PackageSource(
    requirement="recbole==1.2.1",
    wheel="recbole-1.2.1-py3-none-any.whl",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    folder="recbole/dataset_example/ml-100k",
    files={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.kg": "200a0636fa07c218119a42e5bac7aa3e26e3665a6f919c1b22909bd412b14779",
        "ml-100k.link": "524dca2c3d62619688ab99b3ec53ea2acb9b64d38eafec3e02bdd0dc6bb7d948",
    },
)

HEADERS = {
    "ml-100k.inter": ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    "ml-100k.item": (
        "item_id:token",
        "movie_title:token_seq",
        "release_year:token",
        "class:token_seq",
    ),
    "ml-100k.kg": ("head_id:token", "relation_id:token", "tail_id:token"),
    "ml-100k.link": ("item_id:token", "entity_id:token"),
}
_MINIMUM_RATING = 4.0
_NULL_WORDS = NULL_WORDS["movielens"]
# The graph has each fact in both directions; the film is the head of these relations.
_FILM_RELATION = "film.film."


def parse_rating(row: Row) -> tuple[tuple[str, str], tuple[bool, int, int]]:
    """Parse a row of `ml-100k.inter`.

    Args:
        row: The row.

    Returns:
        The pair (user, item) and (whether the rating is below 4, line, timestamp in seconds).

    Raises:
        DataError: If the rating or the time is not a number, or an id is empty.
    """
    user_id, item_id, rating, timestamp = row.values
    if not user_id or not item_id:
        raise row.error("a rating needs a user and an item", "\t".join(row.values))
    try:
        value = float(rating)
    except ValueError:
        raise row.error("the rating is not a number", rating) from None
    if not 1.0 <= value <= 5.0:
        raise row.error("the rating is not between 1 and 5", rating)
    try:
        seconds = int(float(timestamp))
    except (ValueError, OverflowError):
        raise row.error("the timestamp is not a number of seconds", timestamp) from None
    return (user_id, item_id), (value < _MINIMUM_RATING, row.line, seconds)


def parse_item(row: Row) -> dict[str, Any]:
    """Parse a row of `ml-100k.item`.

    Args:
        row: The row.

    Returns:
        A dictionary with `item_id`, `title` (None where unknown), `release_year` (None where it
        is not a year) and `genres` (empty where unknown).

    Raises:
        DataError: If the item has no id.
    """
    item_id, title, year, genres = row.values
    if not item_id:
        raise row.error("an item needs an id", "\t".join(row.values))
    return {
        "item_id": item_id,
        "title": None if is_null_word(title, _NULL_WORDS["title"]) else title.strip(),
        "release_year": int(year) if len(year) == 4 and year.isascii() and year.isdigit() else None,
        "genres": [
            genre for genre in genres.split() if not is_null_word(genre, _NULL_WORDS["genres"])
        ],
    }


def parse_fact(row: Row) -> tuple[str, tuple[str, str]] | None:
    """Parse a row of `ml-100k.kg`.

    Args:
        row: The row.

    Returns:
        The film's entity and (last word of the relation, the other entity), or None where the
        film is not the head.
    """
    head, relation, tail = row.values
    if not relation.startswith(_FILM_RELATION):
        return None
    return head, (relation.removeprefix(_FILM_RELATION), tail)


def validate_source(paths: Mapping[str, pathlib.Path]) -> None:
    """Validate every row of the source files, before a runner wraps the errors in its own.

    Args:
        paths: The source files, by name.

    Raises:
        DataError: At the first row that is wrong, naming file, line and value.
    """
    parsers = {"ml-100k.inter": parse_rating, "ml-100k.item": parse_item}
    for name, header in HEADERS.items():
        parse = parsers.get(name, lambda row: row)
        collections.deque((parse(row) for row in load_rows(paths[name], header)), maxlen=0)
