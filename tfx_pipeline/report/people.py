"""Sample users of a report: what they had, what they get and why, and a list that is steered."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from addrl_keras.control import Served
from serving.results import make_explanation, make_recommendations
from serving.sentences import make_sentence
from tfx_pipeline.report.figures import make_address

_K = 6
_PAST = 6
_THUMBNAIL = 96
# Smaller parts would be printed as nought.
_LEAST_SHOWN = 0.005


@dataclasses.dataclass(frozen=True)
class Shown:
    """An item on the page.

    Attributes:
        title: Its title, or its id.
        photo: An address that contains the photo; "" where there is none.
        values: Its attribute values in words.
        reason: Why it is recommended; "" for an item of the history.
        parts: What each chunk adds beyond its average, largest first.
    """

    title: str
    photo: str
    values: str
    reason: str = ""
    parts: Sequence[tuple[str, float]] = ()


@dataclasses.dataclass(frozen=True)
class Person:
    """A sample user.

    Attributes:
        user_id: Who.
        preferences: The most liked value of each attribute, in words.
        history: Some past items.
        items: The list.
        wish: What is wanted in the second list, and how many have it there and in the first.
        steered: The second list, with its own reasons.
    """

    user_id: str
    preferences: Sequence[str]
    history: Sequence[Shown]
    items: Sequence[Shown]
    wish: str
    steered: Sequence[Shown]


def choose_users(known: Any, count: int) -> np.ndarray:
    """Chooses users of short, usual and long histories, the same every time."""
    lengths = np.diff(known.indptr)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] >= 3]
    places = np.linspace(0.25, 0.9, count) * max(0, len(order) - 1)
    return np.unique(order[places.astype(int)]) if len(order) else order


def make_people(
    served: Served, titles: Mapping[str, str], photos: Mapping[str, str], count: int = 3
) -> list[Person]:
    """Makes the sample users.

    Args:
        served: The model's lists.
        titles: Title by item id.
        photos: Path of the photo by item id; what cannot be read is left out.
        count: How many.
    """
    show = _Shelf(served, titles, photos)
    return [
        _make_person(served, show, titles, int(row))
        for row in choose_users(served.result.interactions.known, count)
    ]


def _make_person(served: Served, show: _Shelf, titles: Mapping[str, str], row: int) -> Person:
    result, recommender = served.result, served.recommender
    user = result.interactions.user_ids[row]
    length = min(_K, result.catalogue.num_items)
    outputs = _decode(recommender.recommend([user], k=length))
    answer = make_recommendations(user, 0, outputs, 0)
    items = [show.explain(user, item.item_id, titles) for item in answer.items]
    profile = _decode(recommender.profile([user]))
    expected, usual = profile["value_expected_shares"][0], profile["population_expected_shares"]
    names = [key.partition("=") for key in profile["value_names"]]
    preferences, orders = [], []
    for attribute in result.model.config.attribute_names:
        own = [i for i, (name, _, _) in enumerate(names) if name == attribute]
        orders.append(sorted(own, key=lambda i: usual[i] - expected[i]))
        best = orders[-1][0]
        preferences.append(
            f"{attribute} {names[best][2]} ({expected[best]:.0%} of what should come next, of "
            f"others' {usual[best]:.0%})"
        )
    listed = [item.item_id for item in answer.items]
    wish, settings, steered = _find_wish(served, user, orders, profile, listed)
    known = result.interactions.known[row].indices
    history = [result.catalogue.item_ids[i] for i in known[-_PAST:]]
    before, after = show.count(wish, listed), show.count(wish, steered)
    return Person(
        user,
        preferences,
        [show.show(item) for item in history],
        items,
        f"{wish}: {after} of {len(steered)} have it, {before} of {len(items)} without the wish",
        [show.explain(user, item, titles, settings) for item in steered],
    )


def _find_wish(
    served: Served,
    user: str,
    orders: Sequence[Sequence[int]],
    profile: Mapping[str, Any],
    before: Sequence[str],
) -> tuple[str, dict[str, Any], list[str]]:
    """Finds a wish that fits the user and moves the list most.

    Args:
        served: The model's lists.
        user: Who.
        orders: For each attribute its values' places in the profile, the fitting first.
        profile: The user's.
        before: The list without a wish.

    Returns:
        The wish, the inputs that it is asked for with, and the list that it makes.
    """
    wishes = [(k, i) for k, order in enumerate(orders) for i in order[:2]]
    liked = [(k, i) for k, i in wishes if profile["value_affinities"][0][i] > 0] or wishes
    found = []
    for k, i in liked:
        wish = profile["value_names"][i]
        hold = served.result.hold_weights[k][None]
        settings = {"attribute_targets": [[wish]], "hold_weights": hold}
        outputs = _decode(served.recommender.recommend([user], k=len(before), **settings))
        items = [item.item_id for item in make_recommendations(user, 0, outputs, 0).items]
        found.append((wish, settings, items))
    return max(found, key=lambda each: len(set(each[2]) - set(before)))


class _Shelf:
    """Items as the page shows them."""

    def __init__(
        self, served: Served, titles: Mapping[str, str], photos: Mapping[str, str]
    ) -> None:
        self._served, self._titles, self._photos = served, titles, photos
        catalogue = served.result.catalogue
        self._row = {item: i for i, item in enumerate(catalogue.item_ids)}
        self._values = {
            name: catalogue.values[name].rows()
            for name in served.result.model.config.attribute_names
        }

    def show(self, item: str, reason: str = "", parts: Sequence[tuple[str, float]] = ()) -> Shown:
        row = self._row[item]
        values = [", ".join(rows[row]) for rows in self._values.values() if rows[row]]
        photo = load_thumbnail(self._photos.get(item, ""))
        return Shown(self._titles.get(item) or item, photo, " · ".join(values), reason, parts)

    def count(self, wish: str, items: Sequence[str]) -> int:
        """Counts the items that are known to have what is wanted, `name=value`."""
        name, _, value = wish.partition("=")
        return sum(value in self._values[name][self._row[item]] for item in items)

    def explain(
        self,
        user: str,
        item: str,
        titles: Mapping[str, str],
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> Shown:
        recommender = self._served.recommender
        outputs = _decode(recommender.explain([user], item_id=[item], **settings))
        targets: dict[str, list[str]] = {}
        for wish in settings.get("attribute_targets", [[]])[0]:
            name, _, value = wish.partition("=")
            targets.setdefault(name, []).append(value)
        answer = make_explanation(user, item, 0, outputs, 0, targets)
        parts = sorted(answer.lifts.items(), key=lambda pair: -pair[1])
        parts = [(name, lift) for name, lift in parts if abs(lift) >= _LEAST_SHOWN]
        return self.show(item, make_sentence(answer, titles), parts)


def load_thumbnail(path: str) -> str:
    """Loads a photo, made small; "" where there is none, or none that can be read."""
    from PIL import Image, UnidentifiedImageError

    if not path or not Path(path).is_file():
        return ""
    try:
        with Image.open(path) as photo:
            small = photo.convert("RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=70)
    except (OSError, SyntaxError, Image.DecompressionBombError, UnidentifiedImageError):
        return ""
    return make_address(buffer.getvalue(), "image/jpeg")


def _decode(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Turns tensors into the lists that a client gets."""
    return {name: _to_text(np.asarray(value).tolist()) for name, value in outputs.items()}


def _to_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_to_text(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value
