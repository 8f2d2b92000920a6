"""The whole proposal: tables, columns, attributes, modalities, split."""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence

from addrl_keras.config import Attribute, Modality
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_files import list_tree
from tfx_pipeline.datasets.table_options import (
    Aggregate,
    Images,
    InteractionsTable,
    ItemsTable,
    TableOptions,
)
from tfx_pipeline.datasets.table_photos import count_shared_names, find_photo, index_photos
from tfx_pipeline.proposals.choices import (
    choose_attributes,
    choose_modalities,
    choose_side_information,
)
from tfx_pipeline.proposals.columns import (
    ColumnProposal,
    propose_columns,
)
from tfx_pipeline.proposals.look import TableSample, load_sample
from tfx_pipeline.proposals.roles import Note, Roles, Wishes, find_roles
from tfx_pipeline.proposals.splits import propose_split

_MAX_UNKNOWN = 0.05
_MIN_PHOTOS = 0.1


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What is proposed for two tables.

    Attributes:
        options: What the adapter is told.
        columns: What was decided about each column of the items.
        attributes: The attributes, best first after popularity.
        others: Attributes that could be added.
        modalities: The modalities.
        side_information: Weights in the closed-form start, by name.
        missing: Share of the items without a value, for each canonical column where it is known.
        num_users: Users seen.
        num_items: Items seen.
        notes: What was guessed and why.
    """

    options: TableOptions
    columns: tuple[ColumnProposal, ...]
    attributes: tuple[Attribute, ...]
    others: tuple[Attribute, ...]
    modalities: tuple[Modality, ...]
    side_information: tuple[tuple[str, float], ...]
    missing: Mapping[str, float]
    num_users: int
    num_items: int
    notes: tuple[Note, ...]


def make_proposal(
    interactions: Sequence[str],
    items: Sequence[str],
    images: str = "",
    wishes: Wishes | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Proposal:
    """Look at two tables and propose a project.

    Args:
        interactions: Files or globs of the interactions.
        items: Files or globs of the items.
        images: Folder of the photos, or nothing.
        wishes: What a person said.
        report: Called with a line before each longer step.

    Returns:
        The proposal. Paths in it are those given.

    Raises:
        DataError: If a table cannot be read, or something cannot be guessed safely; the message
            names the place and the option that settles it.
    """
    wishes = wishes or Wishes()
    report("looking at the items ...")
    item_sample = load_sample(items, "items")
    report("looking at the interactions ...")
    sample = load_sample(interactions, "interactions")
    roles = find_roles(sample, item_sample, wishes)
    if not sample.is_whole:
        # Again, by user: a split needs whole histories.
        sample = load_sample(interactions, "interactions", key=roles.user)
    counts = collections.Counter(text for text in sample.get_ids(roles.item) if text is not None)
    taken = {"popularity"} | ({"image"} if images else set())
    columns = propose_columns(item_sample, roles, counts, taken, wishes.encoders)
    aggregates = {"popularity": Aggregate("count")} | _propose_price(columns, roles)
    photos, photo_missing = _propose_images(images, item_sample, roles)
    split = propose_split(sample, roles, wishes.split)
    roles.notes.append(Note("split", split.why))
    options = TableOptions(
        interactions=_make_interactions(interactions, sample, roles, split.split.rule),
        items=_make_items(items, item_sample, roles, columns),
        split=split.split,
        aggregates=aggregates,
        images=photos,
    )
    options.validate()
    chosen, others = choose_attributes(columns, aggregates)
    modalities = choose_modalities(columns, roles, photos, photo_missing, wishes.encoders, chosen)
    missing = {each.name: each.missing for each in columns if each.name and each.column}
    if photos:
        missing[photos.column] = photo_missing
    return Proposal(
        options=options,
        columns=tuple(columns),
        attributes=chosen,
        others=others,
        modalities=modalities,
        side_information=choose_side_information(columns, chosen, modalities),
        missing=missing,
        num_users=len({text for text in sample.get_ids(roles.user) if text is not None}),
        num_items=len(roles.item_ids),
        notes=(
            Note("read", f"{item_sample.describe()} of the items, {sample.describe()} of the "
                 "interactions"),
            *roles.notes,
        ),
    )  # fmt: skip


def _propose_price(columns: Sequence[ColumnProposal], roles: Roles) -> dict[str, Aggregate]:
    """Propose the price of an item from its sales where the items table has none."""
    if not roles.price:
        return {}
    named = [each.name for each in columns]
    if "price" in named:
        text = f"{roles.price!r} of the interactions is not used: the items have a price"
        roles.notes.append(Note("price", text))
        return {}
    text = f"median of {roles.price!r} over an item's training interactions"
    roles.notes.append(Note("price", text))
    return {"price": Aggregate("median", roles.price)}


def _propose_images(
    directory: str, items: TableSample, roles: Roles
) -> tuple[Images | None, float]:
    """Find out by which column photos are found: the id, or one that holds file names."""
    if not directory:
        return None, 1.0
    index = index_photos(directory, list_tree(directory, "images"))
    shares: dict[str, float] = {}
    for column in (roles.id, *(name for name in items.columns if name != roles.id)):
        ids = items.get_ids(column)
        found = [find_photo(index, text, is_path=column != roles.id) for text in ids]
        shares[column] = sum(path is not None for path in found) / len(ids)
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < _MIN_PHOTOS:
        raise DataError(
            f"--images: no column of {items.files[0].path} names the files in the folder. "
            f"Received: {directory}, with files such as {', '.join(sorted(index.values())[:3])}. "
            "Name the files by item id, or add a column that holds their names."
        )
    how = "the item's id" if best == roles.id else f"column {best!r}"
    text = f"found by {how} for {shares[best]:.1%} of the items"
    roles.notes.append(Note("images", text))
    shared = count_shared_names(index)
    if shared:
        text = f"{shared:,} photos share a name and are found by their paths in the folder alone"
        roles.notes.append(Note("images", text))
    return Images(directory, "" if best == roles.id else best), 1 - shares[best]


def _make_interactions(
    paths: Sequence[str], sample: TableSample, roles: Roles, rule: str
) -> InteractionsTable:
    users, items = sample.get_ids(roles.user), sample.get_ids(roles.item)
    pairs = [pair for pair in zip(users, items, strict=True) if None not in pair]
    nameless = len(sample.rows) - len(pairs)
    needed = [roles.rating] + ([roles.time] if rule != "random" else [])
    gaps = {name: len(sample.rows) - len(sample.get_cells(name)) for name in needed if name}
    if nameless or any(gaps.values()):
        gaps = {"user or item": nameless} | gaps
        shown = ", ".join(f"{count:,} without {name}" for name, count in gaps.items() if count)
        text = f'rows that lack something are left out: {shown} (missing = "drop")'
        roles.notes.append(Note("rows", text))
    repeated = len(pairs) - len(set(pairs))
    if repeated:
        text = f"{repeated:,} rows repeat a pair of user and item; the first counts"
        roles.notes.append(Note("repeats", text))
    unknown = sum(item not in roles.item_ids for _, item in pairs) / max(1, len(pairs))
    if unknown:
        fate = "they are dropped" if unknown > _MAX_UNKNOWN else "they are kept and do not count"
        text = f"{unknown:.1%} of the interactions name an item that the items lack; {fate}"
        roles.notes.append(Note("unknown", text))
    return InteractionsTable(
        path=_unpack(paths),
        user=roles.user,
        item=roles.item,
        time=roles.time,
        time_formats=roles.times.formats if roles.times else ("iso",),
        rating=roles.rating,
        min_rating=float("-inf") if roles.min_rating is None else roles.min_rating,
        weight=roles.weight,
        decimal=roles.decimal,
        missing="drop" if nameless or any(gaps.values()) else "refuse",
        unknown_items="drop" if unknown > _MAX_UNKNOWN else "keep",
    )


def _make_items(
    paths: Sequence[str], sample: TableSample, roles: Roles, columns: Sequence[ColumnProposal]
) -> ItemsTable:
    ids = sample.get_ids(roles.id)
    rows: dict[str, set[str]] = collections.defaultdict(set)
    for (_, values), item in zip(sample.rows, ids, strict=True):
        if item is not None:
            rows[item].add(repr(values))
    differing = [item for item, found in rows.items() if len(found) > 1]
    if differing:
        text = f"{len(differing):,} ids have several different rows, such as {differing[0]!r}; the "
        roles.notes.append(Note("items", text + "last counts"))
    nameless = sum(item is None for item in ids)
    if nameless:
        roles.notes.append(Note("items", f"{nameless:,} rows without an id are left out"))
    return ItemsTable(
        path=_unpack(paths),
        id=roles.id,
        title=roles.title,
        duplicates="last" if differing else "refuse",
        missing="drop" if nameless else "refuse",
        columns={
            each.name: dataclasses.replace(
                each.column, source="" if each.source == each.name else each.source
            )
            for each in columns
            if each.column
        },
    )


def _unpack(paths: Sequence[str]) -> str | tuple[str, ...]:
    return paths[0] if len(paths) == 1 else tuple(paths)
