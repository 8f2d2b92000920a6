"""What the columns of the items table can be used for: attributes, modalities, or nothing."""

import collections
import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from addrl_keras.config import Attribute, Modality
from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.table_files import shorten
from tfx_pipeline.datasets.table_options import ItemColumn
from tfx_pipeline.proposals import evidence, names
from tfx_pipeline.proposals.look import Cell, TableSample
from tfx_pipeline.proposals.roles import Roles

TEXT_ENCODER, IMAGE_ENCODER = "minilm", "efficientnet-lite0"

# A text of this many words says more than its words; it is worth an encoder.
LONG_TEXT = 12
_FEW = 10
_MAX_MISSING = 0.95
# Shorter ids are small numbers, which mean other things elsewhere.
_ID_LENGTH = 5
_MAX_VALUES = 64
_MIN_ITEMS_OF_VALUE = 3
_TELLTALE = 0.9


@dataclasses.dataclass(frozen=True)
class ColumnProposal:
    """What is proposed for one column.

    Attributes:
        source: Name of the column in the file.
        name: Name in the canonical table; empty where the column is not used.
        column: What the column is.
        missing: Share of the items without a value, 0..1.
        why: What was decided, and by what.
        attribute: The attribute it can be.
        modality: The modality it can be.
        rank: How well it serves as an attribute; higher is better.
    """

    source: str
    why: str
    name: str = ""
    column: ItemColumn | None = None
    missing: float = 0.0
    attribute: Attribute | None = None
    modality: Modality | None = None
    rank: float = 0.0


def propose_columns(
    items: TableSample,
    roles: Roles,
    counts: Mapping[str, int],
    taken: Collection[str],
    encoders: bool = True,
) -> list[ColumnProposal]:
    """Propose a use for every column of the items but the id and the title.

    Args:
        items: The items.
        roles: What is known already.
        counts: Number of interactions of each item in the sample.
        taken: Names that canonical columns may not have.
        encoders: Whether to propose encoders that must be built first.

    Returns:
        One proposal for each column, in the order of the file.
    """
    found: list[ColumnProposal] = []
    used = {*names.TAKEN, *taken}
    made: dict[str, str] = {}
    for source in items.columns:
        if source not in (roles.id, roles.title):
            made[source] = names.make_name(source, used)
            used.add(made[source])
    used.add("price")  # A column may be; else it is the name of what is computed from sales.
    for source, name in made.items():
        proposal = _propose(source, name, items, roles, counts, used, encoders)
        found.append(proposal)
        if proposal.attribute:
            used.add(proposal.attribute.name)
    return _drop_twins(items, found)


def _propose(
    source: str,
    name: str,
    items: TableSample,
    roles: Roles,
    counts: Mapping[str, int],
    used: Collection[str],
    encoders: bool,
) -> ColumnProposal:
    cells = items.get_cells(source)
    missing = 1 - len(cells) / len(items.rows)
    distinct = len({repr(cell.value) for cell in cells})
    if not cells:
        return ColumnProposal(source, "no values at all")
    if missing > _MAX_MISSING:
        return ColumnProposal(source, f"only {1 - missing:.1%} of the items have a value")
    if distinct == 1:
        return ColumnProposal(source, f"the same everywhere: {shorten(cells[0].value)}")
    if sum(str(cell.value).lstrip().startswith("{") for cell in cells) > 0.5 * len(cells):
        return ColumnProposal(source, "dictionaries; columns of their entries could be used")
    base = {"source": source, "name": name, "missing": missing}
    vector = evidence.find_vector(cells)
    if vector:
        return _propose_vector(base, *vector)
    # A list of numbers that is no vector is a list of values.
    numbers = None if isinstance(cells[0].value, list) else evidence.find_numbers(source, cells)
    if numbers:
        return _propose_numbers(base, cells, numbers, items, roles, counts)
    if evidence.find_times(source, cells, False):
        return ColumnProposal(source, "times; a column with the year could be an attribute")
    separator = evidence.find_list(cells)
    if separator is not None:
        return _propose_list(base, cells, separator, roles, used)
    return _propose_text(base, cells, encoders)


def _propose_vector(base: dict, separator: str, size: int) -> ColumnProposal:
    column = ItemColumn("vector", separator=separator, unreadable="missing")
    modality = Modality(base["name"], base["name"], encoder="precomputed")
    why = f"vectors of {size} numbers: a precomputed modality"
    return ColumnProposal(column=column, modality=modality, why=why, **base)


def _propose_numbers(
    base: dict,
    cells: Sequence[Cell],
    numbers: evidence.Numbers,
    items: TableSample,
    roles: Roles,
    counts: Mapping[str, int],
) -> ColumnProposal:
    source, name = base["source"], base["name"]
    values = numbers.values
    distinct = len(set(values))
    are_whole = all(value == int(value) and abs(value) < 2**53 for value in values)
    is_price = names.is_named(source, names.PRICE)
    is_code = names.is_named(source, names.CODE) and are_whole
    if names.is_named(source, names.COUNTED) or _follows_counts(source, items, roles, counts):
        return ColumnProposal(
            source,
            "looks like a count of interactions, so it may know the test; popularity is counted on "
            "training instead",
        )
    if (is_code or distinct <= _FEW) and are_whole and not is_price:
        return _propose_category(base, cells, "codes" if is_code else "few different numbers")
    why = f"numbers from {min(values):g} to {max(values):g}"
    if any(isinstance(cell.value, str) and "," in cell.value for cell in cells):
        why += f", {numbers.why}"
    if numbers.bad:
        first = numbers.bad[0]
        why += (
            f"; {len(numbers.bad)} such as {shorten(first.value)} ({first.place}) count as missing"
        )
    column = ItemColumn(
        "integer" if are_whole and not is_price else "number",
        decimal=numbers.decimal,
        unreadable="missing" if numbers.bad else "refuse",
    )
    attribute = Attribute(name, name, kind="numeric", bins=min(5, max(2, distinct // 2)))
    rank = (3.0 if is_price else 1.5) * (1 - base["missing"])
    return ColumnProposal(column=column, attribute=attribute, why=why, rank=rank, **base)


def _follows_counts(
    source: str, items: TableSample, roles: Roles, counts: Mapping[str, int]
) -> bool:
    """Tell whether a number ranks the items nearly as their interactions do."""
    index = items.columns.index(source)
    pairs = []
    for (_, values), item in zip(items.rows, items.get_ids(roles.id), strict=True):
        try:
            number = table_values.parse_number(values[index])
        except table_values.BadValueError:
            continue
        if number is not None and item is not None:
            pairs.append((number, counts.get(item, 0)))
    if len(pairs) < 2 * _FEW:
        return False
    return abs(_compute_rank_correlation(pairs)) > _TELLTALE


def _compute_rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Compute Spearman's correlation; 0 where a side is the same everywhere."""
    left, right = (_compute_ranks(side) for side in zip(*pairs, strict=True))
    if not left.std() or not right.std():
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])


def _compute_ranks(values: Sequence[float]) -> np.ndarray:
    """Compute ranks; equal values share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[index]


def _propose_list(
    base: dict, cells: Sequence[Cell], separator: str, roles: Roles, used: Collection[str]
) -> ColumnProposal:
    source, name = base["source"], base["name"]
    parts = evidence.get_parts(cells, separator)
    values = collections.Counter(parts)
    if _are_addresses(parts):
        return ColumnProposal(source, "addresses; photos must be files, given with --images")
    are_ids = sum(len(part) >= _ID_LENGTH and part in roles.item_ids for part in parts)
    if are_ids > 0.05 * len(parts):
        return ColumnProposal(
            source,
            "lists of items; whoever made them looked at what people did, so they may know the "
            "test",
        )
    if not any(count > 1 for count in values.values()):
        return ColumnProposal(source, "nearly every value is another, which says nothing of others")
    singular = name[:-1] if name.endswith("s") and len(name) > 3 else ""
    if not singular or singular in used:
        singular = names.make_name(f"{name}_value", used)
    how = {"": "lists", "json": "lists in JSON"}.get(
        separator, f"lists, separated by {separator!r}"
    )
    why = f"{how}; {len(values):,} different values: a bag"
    column = ItemColumn("list", separator=separator)
    attribute = Attribute(singular, name, max_values=_choose_size(values))
    modality = Modality(name, name, encoder="bag")
    return ColumnProposal(
        column=column, attribute=attribute, modality=modality, why=why, rank=-1.0, **base
    )


def _propose_text(base: dict, cells: Sequence[Cell], encoders: bool) -> ColumnProposal:
    source, name = base["source"], base["name"]
    texts = [table_values.parse_category(cell.value) or "" for cell in cells]
    distinct = len(set(texts))
    words = evidence.count_words(cells)
    if _are_addresses(texts):
        return ColumnProposal(source, "addresses; photos must be files, given with --images")
    if words <= 4 and (distinct <= 0.5 * len(texts) or _has_common_values(source, texts)):
        return _propose_category(base, cells, "few different texts")
    if words < 1.5:
        return ColumnProposal(source, "nearly every value is another, which says nothing of others")
    column = ItemColumn("text")
    if words >= LONG_TEXT and encoders:
        modality = Modality(
            name, name, encoder="hub", handle=TEXT_ENCODER, preprocessing="wordpiece",
            max_missing_share=_allow(base["missing"]),
        )  # fmt: skip
        why = f"long texts ({words:.0f} words): the encoder {TEXT_ENCODER}"
    else:
        modality = Modality(name, name, encoder="text")
        why = f"texts ({words:.0f} words): a bag of words"
    return ColumnProposal(column=column, modality=modality, why=why, **base)


def _are_addresses(texts: Sequence[str]) -> bool:
    return sum(text.startswith(("http://", "https://")) for text in texts) > 0.5 * len(texts)


def _has_common_values(source: str, texts: Sequence[str]) -> bool:
    """Tell a brand of which many values are rare from texts that are all different."""
    counts = collections.Counter(texts)
    common = sum(count for count in counts.values() if count >= _MIN_ITEMS_OF_VALUE)
    return names.is_named(source, (*names.BRAND, *names.GROUP)) and common >= 0.2 * len(texts)


def _propose_category(base: dict, cells: Sequence[Cell], what: str) -> ColumnProposal:
    source, name = base["source"], base["name"]
    values = collections.Counter(
        text for cell in cells if (text := table_values.parse_category(cell.value))
    )
    if len(values) > 0.5 * len(cells) and not _has_common_values(source, list(values.elements())):
        return ColumnProposal(source, "nearly every value is another, which says nothing of others")
    size = _choose_size(values)
    covered = sum(count for _, count in values.most_common(size)) / len(cells)
    why = f"{what}, {len(values):,}"
    if size < len(values):
        why += f"; the {size} most frequent cover {covered:.0%} of the items that have one"
    rank = _compute_entropy(values) / math.log(len(values)) * covered * (1 - base["missing"])
    rank += 1.0 * names.is_named(source, names.BRAND) + 0.8 * names.is_named(source, names.GROUP)
    rank -= 0.5 * names.is_named(source, names.CODE)
    attribute = Attribute(name, name, max_values=size)
    return ColumnProposal(
        column=ItemColumn("category"), attribute=attribute, why=why, rank=rank, **base
    )


def _choose_size(values: collections.Counter) -> int:
    """Choose how many values get a place of their own: those that several items have."""
    common = sum(count >= _MIN_ITEMS_OF_VALUE for count in values.values())
    return max(2, min(_MAX_VALUES, common))


def _compute_entropy(values: collections.Counter) -> float:
    total = sum(values.values())
    return -sum(n / total * math.log(n / total) for n in values.values())


def _allow(missing: float) -> float:
    """Allow somewhat more missing values than there are."""
    return round(min(1.0, max(0.05, 1.5 * missing + 0.05)), 2)


def _drop_twins(items: TableSample, found: list[ColumnProposal]) -> list[ColumnProposal]:
    """Drop a category that is another one in other words, such as the code beside the name."""
    kept: list[ColumnProposal] = []
    for proposal in sorted(found, key=lambda each: -each.rank):
        twin = next((each for each in kept if _are_twins(items, each, proposal)), None)
        if twin is None:
            kept.append(proposal)
        else:
            kept.append(
                ColumnProposal(proposal.source, f"says the same as {twin.source!r} in other words")
            )
    order = {name: position for position, name in enumerate(items.columns)}
    return sorted(kept, key=lambda each: order[each.source])


def _are_twins(items: TableSample, first: ColumnProposal, second: ColumnProposal) -> bool:
    if not all(each.column and each.column.kind == "category" for each in (first, second)):
        return False
    a, b = (items.columns.index(each.source) for each in (first, second))
    pairs = {(str(values[a]), str(values[b])) for _, values in items.rows}
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})
