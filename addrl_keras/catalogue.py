"""The data a model is fitted on, in memory: what is known of the items, and who took what."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import scipy.sparse

from addrl_keras.config import Config

Features: TypeAlias = scipy.sparse.csr_matrix | np.ndarray


@dataclasses.dataclass(frozen=True)
class AttributeValues:
    """The values of one attribute over the catalogue.

    Args:
        names: The `num_values` values, as clients spell them.
        matrix: CSR `[num_items, num_values]`, 1 where the item has the value. Several ones in a row
            make the attribute multi-valued; an empty row means that the value is not known.
    """

    names: tuple[str, ...]
    matrix: scipy.sparse.csr_matrix

    @property
    def known(self) -> np.ndarray:
        """Bool `[num_items]`: whether the item's value is known."""
        return np.asarray(self.matrix.sum(axis=1)).ravel() > 0

    def distribution(self) -> scipy.sparse.csr_matrix:
        """`matrix` with rows adding up to 1, `[num_items, num_values]`; empty rows stay empty."""
        return normalize_rows(self.matrix, order=1)

    def rows(self) -> list[tuple[str, ...]]:
        """The values of each item by name, `()` where unknown."""
        csr = self.matrix
        borders = zip(csr.indptr[:-1], csr.indptr[1:], strict=True)
        return [tuple(self.names[j] for j in csr.indices[start:stop]) for start, stop in borders]


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """All items that can be recommended.

    Args:
        item_ids: The `num_items` ids; their order is the model's internal item index.
        values: `AttributeValues` by attribute name.
        features: Float `[num_items, dim]` by name of content modality, CSR for bags and dense for
            vectors. A row of zeros is a missing modality.
    """

    item_ids: tuple[str, ...]
    values: Mapping[str, AttributeValues]
    features: Mapping[str, Features]

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    def validate(self, config: Config) -> None:
        """Raises `ValueError` where the catalogue does not fit `config` or itself."""
        if not self.item_ids:
            raise ValueError("A catalogue needs at least one item. Received: no items")
        if len(set(self.item_ids)) != len(self.item_ids):
            raise ValueError(
                "Item ids must be unique in the catalogue. "
                f"Received: {_find_repeated(self.item_ids)!r} twice"
            )
        if "" in self.item_ids:
            raise ValueError(
                "An item id must not be empty, as '' is padding in the serving contract. "
                f"Received: '' at position {self.item_ids.index('')}"
            )
        for name in config.attribute_names:
            part = self.values.get(name)
            self._validate_part("attribute", name, part and part.matrix, list(self.values))
            _validate_values(name, self.values[name])
        for modality in config.content_modalities:
            feature = self.features.get(modality.name)
            self._validate_part("modality", modality.name, feature, list(self.features))

    def _validate_part(
        self, what: str, name: str, matrix: Features | None, known: list[str]
    ) -> None:
        if matrix is None:
            raise ValueError(f"The catalogue lacks the {what} {name!r}. It has: {sorted(known)}")
        if matrix.shape[0] != self.num_items:
            raise ValueError(
                f"The {what} {name!r} must have one row per item, {self.num_items}. "
                f"Received: shape {matrix.shape}"
            )
        stored = matrix if isinstance(matrix, np.ndarray) else matrix.data
        bad = ~np.isfinite(stored)
        if bad.any():
            row = int(np.flatnonzero(~np.isfinite(np.asarray(matrix.sum(axis=1)).ravel()))[0])
            raise ValueError(
                f"The {what} {name!r} must be finite; leave a row empty where nothing is known. "
                f"Received: {stored[bad][0]} for item {self.item_ids[row]!r}"
            )


def _validate_values(name: str, values: AttributeValues) -> None:
    if not values.names:
        raise ValueError(
            f"The attribute {name!r} needs at least one value; leave it out of the configuration "
            "where no item has one. Received: no values"
        )
    if len(values.names) != values.matrix.shape[1] or len(set(values.names)) != len(values.names):
        raise ValueError(
            f"The attribute {name!r} must name each of its {values.matrix.shape[1]} values once. "
            f"Received: {len(values.names)} names, {len(set(values.names))} of them different"
        )


def _find_repeated(ids: Sequence[str]) -> str:
    return next(name for name, count in collections.Counter(ids).items() if count > 1)


@dataclasses.dataclass(frozen=True)
class Interactions:
    """Who took what, as binary CSR matrices `[num_users, num_items]` over the same users and items.

    Args:
        user_ids: The `num_users` ids.
        train: What the towers are fitted on.
        validation: What choices are made on. The test interactions never come here.
        auxiliary: Weaker signs that are nobody's history and never recommended against, such as
            ratings below the bar or views: binary CSR `[num_auxiliary_users, num_items]`, a row a
            user, whose users need not be those of `train`. None where there are none, and in a
            model that was loaded, as fitting alone reads them.
    """

    user_ids: tuple[str, ...]
    train: scipy.sparse.csr_matrix
    validation: scipy.sparse.csr_matrix
    auxiliary: scipy.sparse.csr_matrix | None = None

    @property
    def known(self) -> scipy.sparse.csr_matrix:
        """Train and validation together: what a user is known to have when the model is served."""
        return binarize(self.train + self.validation)

    def validate(self, catalogue: Catalogue | None = None) -> None:
        """Raises `ValueError` on an empty training set, on shapes that differ or a repeated user.

        Args:
            catalogue: Optional; its items must be the columns.
        """
        if self.train.shape != self.validation.shape or self.train.shape[0] != len(self.user_ids):
            raise ValueError(
                f"Train and validation must have a row for each of {len(self.user_ids)} users and "
                f"the same columns. Received: shapes {self.train.shape} and {self.validation.shape}"
            )
        if len(set(self.user_ids)) != len(self.user_ids):
            raise ValueError(
                f"User ids must be unique. Received: {_find_repeated(self.user_ids)!r} twice"
            )
        if catalogue is not None and self.train.shape[1] != catalogue.num_items:
            raise ValueError(
                f"Interactions must have a column for each of the {catalogue.num_items} items of "
                f"the catalogue. Received: shape {self.train.shape}"
            )
        auxiliary = self.auxiliary if self.auxiliary is not None else self.train[:0]
        if auxiliary.shape[1] != self.train.shape[1]:
            raise ValueError(
                f"Auxiliary interactions must have a column for each of the {self.train.shape[1]} "
                f"items. Received: shape {auxiliary.shape}"
            )
        for split, matrix in (
            ("train", self.train),
            ("validation", self.validation),
            ("auxiliary", auxiliary),
        ):
            if (matrix.data != 1.0).any():
                raise ValueError(
                    "Interactions must be 0 or 1; `binarize` makes them so. "
                    f"Received: {split} with {matrix.data[matrix.data != 1.0][0]}"
                )
        if not self.train.nnz:
            raise ValueError(
                "There are no training interactions with items of the catalogue; check that both "
                f"spell the item ids alike. Received: shape {self.train.shape}, all zero"
            )


def make_interactions(
    item_ids: tuple[str, ...],
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    auxiliary: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Interactions, int]:
    """Maps pairs of (user ids, item ids) to `Interactions`.

    A pair in both splits stays in train alone: known items are never recommended, so it could not
    be found on validation.

    Args:
        item_ids: Ids of the catalogue.
        train: Two string arrays of equal length, user ids and item ids.
        validation: Likewise.
        auxiliary: Likewise, where there are auxiliary interactions.

    Returns:
        The interactions, and how many pairs were left out because their item is not in the
        catalogue.
    """
    known = set(item_ids)
    users = sorted({*train[0].tolist(), *validation[0].tolist()})
    fitted, chosen = (make_matrix(pairs, users, item_ids) for pairs in (train, validation))
    chosen = binarize(chosen - chosen.multiply(fitted))
    parts = (train, validation, *([] if auxiliary is None else [auxiliary]))
    dropped = sum(item not in known for pairs in parts for item in pairs[1].tolist())
    further = None
    if auxiliary is not None:
        further = make_matrix(auxiliary, sorted(set(auxiliary[0].tolist())), item_ids)
    return Interactions(tuple(users), fitted, chosen, further), dropped


def make_matrix(
    pairs: tuple[np.ndarray, np.ndarray], users: Sequence[str], items: Sequence[str]
) -> scipy.sparse.csr_matrix:
    """Makes a matrix out of pairs; those of other users or items are left out.

    Args:
        pairs: Two string arrays of equal length, user ids and item ids.
        users: Ids of the rows.
        items: Ids of the columns.

    Returns:
        Binary CSR `[num_users, num_items]`.
    """
    row, column = ({name: i for i, name in enumerate(names)} for names in (users, items))
    known = [
        (row[user], column[item])
        for user, item in zip(*(ids.tolist() for ids in pairs), strict=True)
        if user in row and item in column
    ]
    rows, columns = np.array(known, np.int64).reshape(-1, 2).T
    ones = np.ones(len(known), np.float32)
    shape = (len(users), len(items))
    return binarize(scipy.sparse.csr_matrix((ones, (rows, columns)), shape=shape))


def make_test_matrix(
    pairs: tuple[np.ndarray, np.ndarray], interactions: Interactions, item_ids: Sequence[str]
) -> scipy.sparse.csr_matrix:
    """Makes the test over the users and items of what is fitted on.

    Users without a history do not count, by the protocol, nor do items outside the catalogue.

    Args:
        pairs: Two string arrays of equal length, user ids and item ids.
        interactions: What is fitted on.
        item_ids: Ids of the catalogue.

    Returns:
        Binary CSR `[num_users, num_items]`.
    """
    matrix = make_matrix(pairs, interactions.user_ids, item_ids)
    has_history = (interactions.known.getnnz(axis=1) > 0).astype(np.float32)
    return binarize(scipy.sparse.diags(has_history) @ matrix)


def binarize(matrix: scipy.sparse.spmatrix) -> scipy.sparse.csr_matrix:
    """Returns `matrix` as CSR with every stored non-zero set to 1 and indices sorted."""
    csr = scipy.sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    csr.data[:] = 1.0
    return csr


def take_rows(features: Features, rows: np.ndarray | slice) -> np.ndarray:
    """Returns some rows of sparse or dense features as a dense float32 array."""
    part = features[rows]
    return np.asarray(part if isinstance(part, np.ndarray) else part.toarray(), np.float32)


def find_present(features: Features) -> np.ndarray:
    """Finds the items that have something of a modality.

    Args:
        features: Features `[num_items, dim]`, sparse or dense; a row of zeros is an item without.

    Returns:
        Bool `[num_items]`.
    """
    if isinstance(features, np.ndarray):
        return np.any(features != 0, axis=1)
    return np.asarray((features != 0).sum(axis=1)).ravel() > 0


def compute_similarity(rows: Features, columns: Features) -> np.ndarray:
    """Computes the cosines between two sets of items, 0 where either has a row of zeros.

    Args:
        rows: Features `[num_rows, dim]`, sparse or dense.
        columns: Features `[num_columns, dim]` of the same modality.

    Returns:
        Float32 `[num_rows, num_columns]`.
    """
    if not isinstance(rows, np.ndarray):
        return (normalize_rows(rows) @ normalize_rows(columns).T).toarray()
    left, right = (
        part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
        for part in (np.asarray(rows, np.float32), np.asarray(columns, np.float32))
    )
    return left @ right.T


def normalize_rows(matrix: scipy.sparse.spmatrix, order: int = 2) -> scipy.sparse.csr_matrix:
    """Divides each row by its L1 (`order=1`) or L2 (`order=2`) norm; empty rows stay empty."""
    csr = scipy.sparse.csr_matrix(matrix, dtype=np.float32)
    norms = np.asarray(abs(csr).power(order).sum(axis=1)).ravel() ** (1.0 / order)
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return scipy.sparse.csr_matrix(scipy.sparse.diags(scale.astype(np.float32)) @ csr)
