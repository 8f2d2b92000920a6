"""From tables in memory to what `fit` takes, for notebooks and scripts without a pipeline.

A table is a pandas DataFrame, or a dict from column to a sequence of cells. None, NaN, NaT, pd.NA
and "" are missing; an id must not be. The pipeline does the same by Transform, on tables of any
size.
"""

from __future__ import annotations

import collections
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from addrl_keras.bins import make_bin_names
from addrl_keras.catalogue import (
    AttributeValues,
    Catalogue,
    Features,
    Interactions,
    binarize,
    make_matrix,
)
from addrl_keras.config import OTHER, Attribute, Config, Modality
from addrl_keras.metrics.ranking import compute_ranking_metrics

if TYPE_CHECKING:
    from addrl_keras.training import FitResult

Table = Mapping[str, Sequence[Any]]
_WORD = re.compile(r"\w+")
# Of ten buckets, one is test and one validation, as in the pipeline's data sets.
_BUCKETS, _TEST, _VALIDATION = 10, 0, 1


def make_catalogue(config: Config, items: Table, item_id: str = "item_id") -> Catalogue:
    """Makes the catalogue out of a table of items.

    Numbers are cut into bins of about equal size; categories beyond the most frequent become
    `(other)`; texts and lists become bags, weighted by tf-idf.

    Args:
        config: Says which columns are attributes and modalities. A `hub` modality must come as
            `precomputed` vectors.
        items: A row per item.
        item_id: Column of the ids, which are taken as strings.

    Returns:
        The catalogue, validated.

    Raises:
        ValueError: A column is missing, an id is missing or occurs twice, or a cell cannot be what
            its column should be; the message names it.
    """
    ids = tuple(_get_ids(items, item_id))
    values = {
        attribute.name: _make_values(attribute, _get_column(items, attribute.column))
        for attribute in config.attributes
    }
    features = {
        modality.name: _make_features(modality, _get_column(items, modality.column))
        for modality in config.content_modalities
    }
    catalogue = Catalogue(ids, values, features)
    catalogue.validate(config)
    return catalogue


def split_interactions(
    catalogue: Catalogue,
    interactions: Table,
    user_id: str = "user_id",
    item_id: str = "item_id",
    auxiliary: Table | None = None,
) -> tuple[Interactions, scipy.sparse.csr_matrix]:
    """Splits a table of interactions at random, by the md5 of user and item: 80, 10 and 10 %.

    Args:
        catalogue: The items; interactions with others are left out.
        interactions: A row per interaction.
        user_id: Column of the users' ids, taken as strings.
        item_id: Column of the items' ids, taken as strings.
        auxiliary: A table like it of auxiliary interactions (`StartConfig.auxiliary_weight`); pairs
            that are interactions too are left out.

    Returns:
        Train and validation, and the test as a binary CSR `[num_users, num_items]` over the same
        users.

    Raises:
        ValueError: A column or an id is missing, or there is nothing to train on.
    """
    position = {item: i for i, item in enumerate(catalogue.item_ids)}

    def get_pairs(table: Table) -> list[tuple[str, str]]:
        users, items = (_get_ids(table, name) for name in (user_id, item_id))
        return [pair for pair in zip(users, items, strict=True) if pair[1] in position]

    pairs = get_pairs(interactions)
    user_ids = tuple(sorted({user for user, _ in pairs}))
    row = {user: i for i, user in enumerate(user_ids)}
    # One pair is always in one bucket, so a repeated one cannot be in two parts.
    parts: dict[int, list[tuple[int, int]]] = collections.defaultdict(list)
    for user, item in pairs:
        parts[_compute_bucket(user, item)].append((row[user], position[item]))
    shape = (len(user_ids), catalogue.num_items)

    def join(*buckets: int) -> scipy.sparse.csr_matrix:
        taken = np.array([pair for b in buckets for pair in parts[b]], np.int64).reshape(-1, 2)
        return _make_binary(taken[:, 0], taken[:, 1], shape)

    further = None
    if auxiliary is not None:
        alone = sorted(set(get_pairs(auxiliary)) - set(pairs))
        users, items = np.array(alone, object).reshape(-1, 2).T
        further = make_matrix((users, items), sorted(set(users.tolist())), catalogue.item_ids)
    train = (bucket for bucket in range(_BUCKETS) if bucket not in (_TEST, _VALIDATION))
    split = Interactions(user_ids, join(*train), join(_VALIDATION), further)
    split.validate(catalogue)
    return split, join(_TEST)


def evaluate(result: FitResult, test: scipy.sparse.csr_matrix, k: int = 20) -> dict[str, float]:
    """Ranks the catalogue for all users with a known and a test item, and averages.

    Args:
        result: A fitted model.
        test: Binary CSR `[num_users, num_items]`, what should be found.
        k: Length of the lists.

    Returns:
        `recall_at_K`, `ndcg_at_K` and `num_users`.
    """
    score = result.model.compute_scores
    return compute_ranking_metrics(score, result.interactions.known, test, k, pass_users=True)


def _get_column(table: Table, name: str) -> list[Any]:
    try:
        return list(table[name])
    except KeyError:
        raise ValueError(f"The table lacks the column {name!r}. It has: {list(table)}") from None


def _get_ids(table: Table, name: str) -> list[str]:
    """Gets a column of ids. Missing ones would be one user, or one item, of that name."""
    column = _get_column(table, name)
    missing = [row for row, c in enumerate(column) if _is_missing(c) or not str(c).strip()]
    if missing:
        raise ValueError(
            f"Every row needs an id in the column {name!r}; leave out rows without, or give them "
            f"ids. Received: {column[missing[0]]!r} in row {missing[0]}, and {len(missing) - 1} "
            "more"
        )
    return [str(cell) for cell in column]


def _compute_bucket(user: str, item: str) -> int:
    digest = hashlib.md5(f"{user}:{item}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % _BUCKETS


def _is_missing(cell: Any) -> bool:
    if np.ndim(cell):
        return False  # A list is missing part by part.
    # A comparison with pd.NA is pd.NA, which has no truth; NaN and NaT differ from themselves.
    equal = cell == cell
    return cell is None or not isinstance(equal, bool | np.bool_) or not equal or bool(cell == "")


def _split_cell(cell: Any) -> list[str]:
    """The values of a cell: those of a list, one, or none."""
    cells = cell if isinstance(cell, list | tuple | set | np.ndarray) else [cell]
    return [str(part) for part in cells if not _is_missing(part)]


def _make_values(attribute: Attribute, column: list[Any]) -> AttributeValues:
    if attribute.kind == "numeric":
        return _cut(attribute, column)
    cells = [_split_cell(cell) for cell in column]
    counts = collections.Counter(value for cell in cells for value in set(cell))
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    kept, rare = ranked[: attribute.max_values], ranked[attribute.max_values :]
    index = {value: i for i, value in enumerate(kept)} | dict.fromkeys(rare, len(kept))
    rows = [row for row, cell in enumerate(cells) for _ in cell]
    columns = [index[value] for cell in cells for value in cell]
    names = (*kept, OTHER) if rare else tuple(kept)
    return AttributeValues(names, _make_binary(rows, columns, (len(column), len(names))))


def _cut(attribute: Attribute, column: list[Any]) -> AttributeValues:
    try:
        numbers = np.array([math.nan if _is_missing(cell) else float(cell) for cell in column])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The attribute {attribute.name!r} is numeric, so the column {attribute.column!r} must "
            f"hold numbers. Received: {error}"
        ) from error
    rows = np.flatnonzero(np.isfinite(numbers))
    known = numbers[rows]
    if not len(known):
        return AttributeValues((), _make_binary([], [], (len(column), 0)))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, attribute.bins + 1)[1:-1]))
    used, index = np.unique(np.digitize(known, edges), return_inverse=True)
    lows = [known[index == bin_].min() for bin_ in range(len(used))]
    highs = [known[index == bin_].max() for bin_ in range(len(used))]
    names = make_bin_names(lows, highs, is_integer=bool((known == known.round()).all()))
    return AttributeValues(names, _make_binary(rows, index, (len(column), len(names))))


def _make_binary(
    rows: Sequence[int] | np.ndarray, columns: Sequence[int] | np.ndarray, shape: tuple[int, int]
) -> scipy.sparse.csr_matrix:
    ones = np.ones(len(rows), np.float32)
    return binarize(scipy.sparse.csr_matrix((ones, (rows, columns)), shape=shape))


def _make_features(modality: Modality, column: list[Any]) -> Features:
    if modality.encoder == "precomputed":
        return _stack(modality, column)
    if modality.encoder == "hub":
        raise ValueError(
            f"The modality {modality.name!r} has the encoder 'hub', which the pipeline runs. Give "
            "its vectors as a column, with the encoder 'precomputed'."
        )
    if modality.encoder == "text":
        cells = [_WORD.findall("" if _is_missing(cell) else str(cell).lower()) for cell in column]
    else:
        cells = [_split_cell(cell) for cell in column]
    return _weigh_terms(modality, cells)


def _weigh_terms(modality: Modality, cells: list[list[str]]) -> scipy.sparse.csr_matrix:
    """Counts terms, weighted by tf-idf: `count / length * (log((N + 1) / (df + 1)) + 1)`."""
    frequency = collections.Counter(term for cell in cells for term in set(cell))
    ranked = sorted(frequency, key=lambda term: (-frequency[term], term))
    terms = [term for term in ranked if frequency[term] >= modality.min_count]
    index = {term: i for i, term in enumerate(terms[: modality.max_tokens])}
    entries = [
        (row, index[term], count / len(cell) * (math.log((len(cells) + 1) / (df + 1)) + 1.0))
        for row, cell in enumerate(cells)
        for term, count in collections.Counter(cell).items()
        if term in index and (df := frequency[term])
    ]
    rows, columns, weights = zip(*entries, strict=True) if entries else ((), (), ())
    shape = (len(cells), max(1, len(index)))
    return scipy.sparse.csr_matrix((np.array(weights, np.float32), (rows, columns)), shape=shape)


def _stack(modality: Modality, column: list[Any]) -> np.ndarray:
    sizes = {len(cell) for cell in column if not _is_nothing(cell)}
    if len(sizes) != 1:
        raise ValueError(
            f"The modality {modality.name!r} needs vectors of one length in the column "
            f"{modality.column!r}. Received: lengths {sorted(sizes)}"
        )
    zeros = np.zeros(sizes.pop(), np.float32)
    return np.stack([zeros if _is_nothing(c) else np.asarray(c, np.float32) for c in column])


def _is_nothing(cell: Any) -> bool:
    return cell is None or np.ndim(cell) == 0 or len(cell) == 0
