"""What the columns of the two tables are: user, item, time, rating, weight; id and title."""

import dataclasses
from collections.abc import Collection, Sequence

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_files import shorten
from tfx_pipeline.proposals import names
from tfx_pipeline.proposals.evidence import (
    Times,
    check_time_format,
    count_words,
    find_numbers,
    find_times,
)
from tfx_pipeline.proposals.look import TableSample, load_ids
from tfx_pipeline.suggestions import suggest

_MIN_OVERLAP = 0.5
_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class Note:
    """Something that was guessed, and why.

    Attributes:
        topic: What it is about, a word or two.
        text: What was guessed and why.
    """

    topic: str
    text: str


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What a person said, which wins over any guess.

    Attributes:
        user: Column of the user's id in the interactions.
        item: Column of the item's id in the interactions.
        id: Column of the item's id in the items.
        title: Column of the name to show in the items.
        time: Column of the time.
        time_format: Format of the times.
        no_time: Whether to use no time at all.
        split: Rule of the split.
        encoders: Whether texts and photos may be proposed for encoders that must be built first.
    """

    user: str = ""
    item: str = ""
    id: str = ""
    title: str = ""
    time: str = ""
    time_format: str = ""
    no_time: bool = False
    split: str = ""
    encoders: bool = True


@dataclasses.dataclass
class Roles:
    """What was found; empty for what there is not.

    Attributes:
        user: Column of the user's id in the interactions.
        item: Column of the item's id in the interactions.
        id: Column of the item's id in the items.
        title: Column of the name to show in the items.
        time: Column of the time, and `times` its formats.
        rating: Column of a rating, and `min_rating` the smallest that counts.
        weight: Column of a quantity.
        price: Column of a price in the interactions.
        item_ids: All ids of the items.
        notes: What was guessed and why.
    """

    user: str = ""
    item: str = ""
    id: str = ""
    title: str = ""
    time: str = ""
    times: Times | None = None
    rating: str = ""
    min_rating: float | None = None
    weight: str = ""
    price: str = ""
    decimal: str = "."
    item_ids: Collection[str] = ()
    notes: list[Note] = dataclasses.field(default_factory=list)


def find_roles(interactions: TableSample, items: TableSample, wishes: Wishes) -> Roles:
    """Find the roles of the columns.

    Args:
        interactions: The interactions.
        items: The items.
        wishes: What a person said.

    Returns:
        The roles, with a note for each.

    Raises:
        DataError: If a column that a person named is not there, or a role that must be filled can
            only be guessed blindly; the message names the option that settles it.
    """
    _check_wishes(interactions, items, wishes)
    roles = Roles()
    _find_items(interactions, items, wishes, roles)
    _find_user(interactions, wishes, roles)
    _find_time(interactions, wishes, roles)
    _find_numbers(interactions, roles)
    _find_title(items, wishes, roles)
    used = {roles.user, roles.item, roles.time, roles.rating, roles.weight, roles.price}
    rest = [name for name in interactions.columns if name not in used]
    if rest:
        roles.notes.append(Note("not used", f"of the interactions: {', '.join(rest)}"))
    return roles


def _check_wishes(interactions: TableSample, items: TableSample, wishes: Wishes) -> None:
    for option, name, table in (
        ("--user-column", wishes.user, interactions),
        ("--item-column", wishes.item, interactions),
        ("--time-column", wishes.time, interactions),
        ("--id-column", wishes.id, items),
        ("--title-column", wishes.title, items),
    ):
        if name and name not in table.columns:
            raise DataError(
                f"{option}: {table.files[0].path} has no such column. Received: {name!r}."
                f"{suggest(name, table.columns)} It has: {', '.join(table.columns)}."
            )


def _find_items(
    interactions: TableSample, items: TableSample, wishes: Wishes, roles: Roles
) -> None:
    """Find the two columns with the same ids: what the tables share decides, names help."""
    left = {name: _get_id_set(interactions, name) for name in interactions.columns}
    right = {name: _get_id_set(items, name) for name in items.columns}
    unique = [name for name in items.columns if _is_nearly_unique(items, name)]
    best, best_score = None, 0.0
    for c in [wishes.item] if wishes.item else interactions.columns:
        for d in [wishes.id] if wishes.id else unique:
            shared = len(left[c] & right[d])
            if not shared or (c == wishes.user and c):
                continue
            score = shared / len(left[c]) + 0.5 * shared / len(right[d])
            score += 0.5 * names.is_named(c, names.ITEM) - 0.7 * names.is_named(c, names.USER)
            score += 0.3 * (names.split_name(c) == names.split_name(d))
            if score > best_score:
                best, best_score = (c, d), score
    taken = left.get(wishes.user, set())
    holders = [name for name in unique if taken & right[name]] if best is None else []
    if holders:
        raise DataError(
            f"--user-column: {wishes.user!r} is the only column of {interactions.files[0].path} "
            f"with ids of the items, those of {holders[0]!r}, so it cannot hold the users. "
            f"Received: {wishes.user!r}. Name the users' column, out of "
            f"{', '.join(name for name in interactions.columns if name != wishes.user)}."
        )
    if best is None:
        raise _make_mismatch(interactions, items, left, right)
    roles.item, roles.id = best
    ids = load_ids([file.path for file in items.files], "items", roles.id)
    roles.item_ids = ids
    found = [text for text in interactions.get_ids(roles.item) if text is not None]
    share = sum(text in ids for text in found) / len(found)
    if share < _MIN_OVERLAP and not (wishes.item and wishes.id):
        raise _make_mismatch(interactions, items, left, right)
    roles.notes += [
        Note(
            "item",
            f"{roles.item!r} of the interactions is {roles.id!r} of the items: {share:.1%} of the "
            "rows have an id of the items table",
        ),
    ]


def _make_mismatch(
    interactions: TableSample,
    items: TableSample,
    left: dict[str, set[str]],
    right: dict[str, set[str]],
) -> DataError:
    """Word that no columns share ids; lost leading zeros are the usual reason."""
    for c, mine in left.items():
        for d, theirs in right.items():
            bare = {text.lstrip("0"): text for text in theirs}
            hits = [text for text in mine if text.lstrip("0") in bare and text not in theirs]
            if mine and len(hits) > _MIN_OVERLAP * len(mine) and _is_nearly_unique(items, d):
                example = min(hits)
                return DataError(
                    f"The ids in column {c!r} of {interactions.files[0].path} and in column {d!r} "
                    f"of {items.files[0].path} differ in leading zeros. Received: {example!r} and "
                    f"{bare[example.lstrip('0')]!r}. Export the column that lost them as text."
                )
    return DataError(
        f"No column of {interactions.files[0].path} has the ids of a column of "
        f"{items.files[0].path}, so the tables do not belong together. Received: "
        f"{_describe(left)}; and {_describe(right)}. Give the two tables of one data set, or name "
        "the columns with --item-column and --id-column."
    )


def _describe(columns: dict[str, set[str]]) -> str:
    shown = [
        f"{name} ({', '.join(sorted(values)[:_EXAMPLES])})"
        for name, values in list(columns.items())[:4]
    ]
    return ", ".join(shown)


def _find_user(interactions: TableSample, wishes: Wishes, roles: Roles) -> None:
    rest = [name for name in interactions.columns if name != roles.item]
    named = [name for name in rest if names.is_named(name, names.USER)]
    counts = {name: len(_get_id_set(interactions, name)) for name in rest}
    others = [
        name
        for name in rest
        if counts[name] > 1
        and not names.is_named(name, (*names.TIME, *names.RATING, *names.WEIGHT, *names.PRICE))
        and not _has_fractions(interactions, name)
    ]
    if wishes.user:
        roles.user, why = wishes.user, "as you said"
    elif named:
        roles.user, why = named[0], "its name says so"
        if named[1:]:
            why += f" (so do those of {', '.join(named[1:])}: --user-column chooses)"
    elif len(others) == 1:
        roles.user, why = others[0], "no other column can be"
    else:
        raise DataError(
            f"{interactions.files[0].path}: no column is plainly the user's id. Received: "
            f"{', '.join(rest) or 'no other column'}. Name it with --user-column."
        )
    count = len(_get_id_set(interactions, roles.user))
    roles.notes.insert(0, Note("user", f"{roles.user!r}, {why}; {count:,} users seen"))


def _find_time(interactions: TableSample, wishes: Wishes, roles: Roles) -> None:
    if wishes.no_time:
        roles.notes.append(Note("time", "none is used, as you said"))
        return
    rest = [name for name in interactions.columns if name not in (roles.user, roles.item)]
    rest.sort(key=lambda name: not names.is_named(name, names.TIME))
    for name in [wishes.time] if wishes.time else rest:
        cells = interactions.get_cells(name)
        if wishes.time_format and (wishes.time or names.is_named(name, names.TIME)):
            times = check_time_format(name, cells, wishes.time_format)
        else:
            is_named = bool(wishes.time) or names.is_named(name, names.TIME)
            times = find_times(name, cells, is_named)
        if times:
            roles.time, roles.times = name, times
            roles.notes.append(Note("time", f"{name!r}: {times.why}"))
            return
    if wishes.time:
        cell = interactions.get_cells(wishes.time)[:1]
        raise DataError(
            f"--time-column: most values of {wishes.time!r} are no times. Received: "
            f"{cell[0].value if cell else 'no value'!r}. Name another column, or the format with "
            "--time-format (`number` for any number that grows)."
        )
    roles.notes.append(Note("time", "no column holds times"))


def _find_numbers(interactions: TableSample, roles: Roles) -> None:
    """Find rating, quantity and price."""
    for name in interactions.columns:
        if name in (roles.user, roles.item, roles.time):
            continue
        cells = interactions.get_cells(name)
        found = find_numbers(name, cells)
        if not found:
            continue
        if names.is_named(name, names.PRICE) and not roles.price and not found.bad:
            roles.price, roles.decimal = name, found.decimal
        elif names.is_named(name, names.RATING) and not roles.rating:
            _set_rating(name, found.values, roles)
        elif names.is_named(name, names.FEEDBACK) and set(found.values) == {0.0, 1.0}:
            roles.rating, roles.min_rating = name, 1.0
            roles.notes.append(Note("rating", f"{name!r} is 0 or 1; 1 is an interaction"))
        elif names.is_named(name, names.WEIGHT) and not roles.weight and not found.bad:
            roles.weight = name
            roles.notes.append(Note("weight", f"{name!r}, its name says so; kept with each pair"))
        if found.bad and name == roles.rating:
            # Left out, it would make an interaction of every low rating.
            first = found.bad[0]
            raise DataError(
                f"{first.place}, column {name!r}: this is no number, and {len(found.values):,} "
                f"others are. Received: {shorten(first.value)}. Repair it or leave it empty."
            )


def _set_rating(name: str, values: Sequence[float], roles: Roles) -> None:
    top = max(values)
    threshold = {5.0: 4.0, 10.0: 7.0, 100.0: 70.0}.get(top)
    kept = sum(value >= threshold for value in values) / len(values) if threshold else 0.0
    roles.rating = name
    if threshold and kept >= 0.3:
        roles.min_rating = threshold
        text = f"{name!r} goes up to {top:g}; {threshold:g} and more is an interaction ({kept:.0%})"
    else:
        roles.rating = ""
        text = f"{name!r} is not used: every row is an interaction. data.interactions.min_rating "
        text += "can change that"
    roles.notes.append(Note("rating", text))


def _find_title(items: TableSample, wishes: Wishes, roles: Roles) -> None:
    if wishes.title:
        roles.title = wishes.title
        roles.notes.append(Note("title", f"{wishes.title!r}, as you said"))
        return
    named = [
        name
        for name in items.columns
        if name != roles.id
        and names.is_named(name, names.TITLE)
        and not names.is_named(name, (*names.GROUP, *names.BRAND, *names.USER))
        and items.get_cells(name)
    ]
    named.sort(key=lambda name: -len({str(cell.value) for cell in items.get_cells(name)}))
    named = [name for name in named if _is_title(items, name)]
    if named:
        roles.title = named[0]
        roles.notes.append(Note("title", f"{roles.title!r}, its name says so"))
    else:
        roles.notes.append(Note("title", "no column is plainly the name to show"))


def _is_title(items: TableSample, name: str) -> bool:
    cells = items.get_cells(name)
    distinct = len({str(cell.value) for cell in cells})
    return distinct >= 0.2 * len(cells) and count_words(cells) < 40


def _get_id_set(sample: TableSample, column: str) -> set[str]:
    return {text for text in sample.get_ids(column) if text is not None}


def _is_nearly_unique(sample: TableSample, column: str) -> bool:
    given = [text for text in sample.get_ids(column) if text is not None]
    return len(given) >= 0.5 * len(sample.rows) and len(set(given)) >= 0.8 * len(given)


def _has_fractions(sample: TableSample, column: str) -> bool:
    found = find_numbers(column, sample.get_cells(column)[:1000])
    return bool(found and any(value != int(value) for value in found.values))
