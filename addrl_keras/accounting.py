"""What residual and memory know of the attributes' values, accounted to the attributes.

The closed form splits a teacher into what the attributes explain and the rest, but the rest does
not stay free of them: the diagonal is cleared, a memory keeps the largest entries alone, values
that are not known are guesses, and gradient steps move all of it. Whatever of it still differs from
value to value is an attribute's contribution by another name. So it is moved once the weights are
final, and every score stays as it is. With the item vectors' attribute chunks `Z`, the same of
known values alone `Y`, residual vectors `V` and their queries `Q`, and the memory `M` (row: item in
the history, column: item scored):

    Q V' = (Q D') Z' + Q (V - Z D)'       D  = argmin |N^-1/2 Y'(V  - Z D )|^2 + ridge |D |^2
    M    =     C  Z' + (M - C Z')         C' = argmin |N^-1/2 Y'(M' - Z C')|^2 + ridge |C'|^2

`N` is diagonal, how many items have each value, so that these are the sums over the items of a
value, and the ridge `start.affinity_ridge`. Where all values are known it is the ridge regression
on them, as in `closed_form`; items with a guess are in the sums of their other values.
`Q D'` is added to the queries of the attributes' chunks. `C` is kept beside the memory, which stays
sparse: a score has no need of it, only the split of one.

A linear reader tells a value from vectors better than by its frequency only where the means of the
values' items differ (Belrose et al. 2023, arXiv 2306.03819). In `V - Z D` and `M - C Z'` they do
not, but for the ridge, for an attribute of more values than its chunk is wide (`model.value_dim`),
and for the single values of an attribute that has several an item. Readers that are not linear may
find more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
import scipy.sparse

from addrl_keras.catalogue import Catalogue
from addrl_keras.model import AdDrl

# Rows that are worked on at once.
_BLOCK = 8192


def account_to_attributes(model: AdDrl, catalogue: Catalogue) -> None:
    """Moves what differs by value from residual and memory to the attributes' chunks.

    No score changes, but for rounding; what each chunk contributes does.

    Args:
        model: The towers with their final weights, not of the paper's recipe, whose chunks are
            learnt.
        catalogue: The items with their known values.

    Raises:
        ValueError: The known values are collinear and `start.affinity_ridge` is too small.
    """
    attributes = np.asarray(model.item_tower.compute_attributes())
    known = _embed_known_values(model, catalogue)
    regress = _make_regression(known, attributes, model.config.start.affinity_ridge)
    residual = model.item_tower.residual.numpy()
    moved = regress(known.T @ residual)
    width = attributes.shape[1]
    # An embedding of a user is a query like that of an item.
    for table in (model.user_tower.query, model.user_tower.embedding):
        if table is None:
            continue
        query = table.numpy()
        for rows in _iterate_blocks(len(query)):
            query[rows, :width] += query[rows, width:] @ moved.T
        table.assign(query)
    for rows in _iterate_blocks(len(residual)):
        residual[rows] -= attributes[rows] @ moved
    model.item_tower.residual.assign(residual)
    if model.memory is None:
        return
    memory = model.memory.compute_matrix()
    accounted = np.zeros(model.memory.accounted.shape, np.float32)
    for rows in _iterate_blocks(len(accounted)):
        accounted[rows] = regress((memory[rows] @ known).toarray().T).T
    model.memory.accounted.assign(accounted)


def _embed_known_values(model: AdDrl, catalogue: Catalogue) -> scipy.sparse.csr_matrix:
    """Embeds what is known of the items' values, `[num_items, dim]`; guesses are left out."""
    pairs = zip(model.config.attribute_names, model.item_tower.value_embeddings, strict=True)
    parts = [
        catalogue.values[name].distribution() @ scipy.sparse.csr_matrix(table.numpy())
        for name, table in pairs
    ]
    return scipy.sparse.csr_matrix(scipy.sparse.hstack(parts), dtype=np.float64)


def _make_regression(
    known: scipy.sparse.csr_matrix, attributes: np.ndarray, ridge: float
) -> Callable[[np.ndarray], np.ndarray]:
    between = np.asarray(known.T @ attributes.astype(np.float64))
    counts = np.asarray(known.multiply(known).sum(axis=0)).ravel()
    scaled = between.T / np.maximum(counts, 1e-12)
    system = scaled @ between
    system[np.diag_indices_from(system)] += ridge
    try:
        factor = scipy.linalg.cho_factor(system)
    except scipy.linalg.LinAlgError as error:
        raise ValueError(
            "The known values of the attributes are collinear. Raise start.affinity_ridge. "
            f"Received: {ridge}"
        ) from error

    def regress(sums: np.ndarray) -> np.ndarray:
        """Regresses sums over the items of the known values, `[dim, columns]`."""
        return scipy.linalg.cho_solve(factor, scaled @ sums).astype(np.float32)

    return regress


def _iterate_blocks(count: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]
