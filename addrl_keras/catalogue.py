"""The data a model is fitted on, in memory: what is known of the items, and who took what."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.sparse

from addrl_keras.config import Config


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
        features: CSR `[num_items, dim]` by name of content modality. An empty row is a missing
            modality.
    """

    item_ids: tuple[str, ...]
    values: Mapping[str, AttributeValues]
    features: Mapping[str, scipy.sparse.csr_matrix]

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    def validate(self, config: Config) -> None:
        """Raises `ValueError` where the catalogue does not fit `config` or itself."""
        if not self.item_ids:
            raise ValueError("The catalogue has no items.")
        if len(set(self.item_ids)) != len(self.item_ids):
            seen: set[str] = set()
            twice = next(i for i in self.item_ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise ValueError(
                f"Item id {twice!r} occurs more than once in the catalogue; ids must be unique."
            )
        if "" in self.item_ids:
            raise ValueError(
                "An item has the empty id, which the serving contract uses as padding."
            )
        for what, names, parts in (
            ("attribute", config.attribute_names, {n: v.matrix for n, v in self.values.items()}),
            ("modality", tuple(m.name for m in config.content_modalities), self.features),
        ):
            for name in names:
                if name not in parts:
                    raise ValueError(
                        f"The catalogue lacks the {what} {name!r}. It has: {sorted(parts)}"
                    )
                if parts[name].shape[0] != self.num_items:
                    raise ValueError(
                        f"The {what} {name!r} must have one row per item, {self.num_items}. "
                        f"Received: shape {parts[name].shape}"
                    )


@dataclasses.dataclass(frozen=True)
class Interactions:
    """Who took what, as binary CSR matrices `[num_users, num_items]` over the same users and items.

    Args:
        user_ids: The `num_users` ids.
        train: What the towers are fitted on.
        validation: What choices are made on. The test interactions never come here.
    """

    user_ids: tuple[str, ...]
    train: scipy.sparse.csr_matrix
    validation: scipy.sparse.csr_matrix

    @property
    def known(self) -> scipy.sparse.csr_matrix:
        """Train and validation together: what a user is known to have when the model is served."""
        return binarize(self.train + self.validation)

    def validate(self) -> None:
        """Raises `ValueError` on an empty training set or on shapes that differ."""
        if self.train.shape != self.validation.shape or self.train.shape[0] != len(self.user_ids):
            raise ValueError(
                f"Interactions of {len(self.user_ids)} users have the shapes train "
                f"{self.train.shape} and "
                f"validation {self.validation.shape}; all must agree."
            )
        if not self.train.nnz:
            raise ValueError("There are no training interactions with items of the catalogue.")


def make_interactions(
    item_ids: tuple[str, ...],
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
) -> tuple[Interactions, int]:
    """Maps pairs of (user ids, item ids) to `Interactions`.

    Args:
        item_ids: Ids of the catalogue.
        train: Two string arrays of equal length, user ids and item ids.
        validation: Likewise.

    Returns:
        The interactions, and how many pairs were left out because their item is not in the
        catalogue.
    """
    index = {item: i for i, item in enumerate(item_ids)}
    users = sorted({*train[0].tolist(), *validation[0].tolist()})
    user_index = {user: i for i, user in enumerate(users)}
    dropped = 0
    matrices = []
    for user_column, item_column in (train, validation):
        rows, columns = [], []
        for user, item in zip(user_column.tolist(), item_column.tolist(), strict=True):
            if item in index:
                rows.append(user_index[user])
                columns.append(index[item])
            else:
                dropped += 1
        ones = np.ones(len(rows), np.float32)
        shape = (len(users), len(item_ids))
        matrices.append(binarize(scipy.sparse.csr_matrix((ones, (rows, columns)), shape=shape)))
    return Interactions(tuple(users), *matrices), dropped


def binarize(matrix: scipy.sparse.spmatrix) -> scipy.sparse.csr_matrix:
    """Returns `matrix` as CSR with every stored non-zero set to 1 and indices sorted."""
    csr = scipy.sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    csr.data[:] = 1.0
    return csr


def normalize_rows(matrix: scipy.sparse.spmatrix, order: int = 2) -> scipy.sparse.csr_matrix:
    """Divides each row by its L1 (`order=1`) or L2 (`order=2`) norm; empty rows stay empty."""
    csr = scipy.sparse.csr_matrix(matrix, dtype=np.float32)
    norms = np.asarray(abs(csr).power(order).sum(axis=1)).ravel() ** (1.0 / order)
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return scipy.sparse.csr_matrix(scipy.sparse.diags(scale.astype(np.float32)) @ csr)
