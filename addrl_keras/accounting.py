"""What residual and memory know of the attributes' values, accounted to the attributes.

The closed form splits a teacher into what the attributes explain and the rest, but the rest does
not stay free of them: the diagonal is cleared, a memory keeps the largest entries alone, values
that are not known are guesses, and gradient steps move all of it. Whatever of it still differs from
value to value is an attribute's contribution by another name. So it is moved, and every score stays
as it is. With the known values `Y` (as `Z`, the item vectors' attribute chunks, has them), residual
vectors `V` and their queries `Q`, and the memory `M` (row: item in the history, column: item
scored):

    Q V' = (Q D') Z' + Q (V - Z D)'       D  = (Y'Y + ridge I)^-1 Y'V
    M    =     C  Z' + (M - C Z')         C' = (Y'Y + ridge I)^-1 Y'M'

`Q D'` is added to the queries of the attributes' chunks. `C` is kept beside the memory, which stays
sparse: a score has no need of it, only the split of one.

A linear reader can tell a value from vectors better than by its frequency only where the means of
the values' items differ (Belrose et al. 2023, arXiv 2306.03819). In `V - Z D` and `M - C Z'` they
do not, but for the ridge and for items with guessed values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from addrl_keras.catalogue import Catalogue
from addrl_keras.config import PAPER
from addrl_keras.model import AdDrl

# Rows of the memory that are regressed at once.
_BLOCK = 8192


def account_to_attributes(model: AdDrl, catalogue: Catalogue) -> None:
    """Moves what differs by value from residual and memory to the attributes' chunks.

    No score changes, but for rounding. Done again it changes next to nothing.

    Args:
        model: The towers, whose weights are set; those of the paper's recipe stay as they are.
        catalogue: The items with their known values.
    """
    if model.config.recipe == PAPER:
        return
    tower = model.item_tower
    embedded = np.asarray(tower.compute_attributes())
    known = embed_known_values(model, catalogue)
    regress = _make_regression(known, model.config.start.affinity_ridge)
    residual = tower.residual.numpy()
    moved = regress(known.T @ residual)
    query = model.user_tower.query.numpy()
    width = embedded.shape[1]
    query[:, :width] += query[:, width:] @ moved.T
    model.user_tower.query.assign(query)
    tower.residual.assign(residual - embedded @ moved)
    if model.memory is None:
        return
    memory = model.memory.compute_matrix()
    affinity = np.zeros(model.memory.affinity.shape, np.float32)
    for start in range(0, len(affinity), _BLOCK):
        rows = slice(start, start + _BLOCK)
        affinity[rows] = regress((memory[rows] @ known).T).T
    model.memory.affinity.assign(affinity)


def embed_known_values(model: AdDrl, catalogue: Catalogue) -> np.ndarray:
    """Embeds what is known of the items' values; a value that is guessed is left out.

    Args:
        model: Its item tower has the embeddings.
        catalogue: The items.

    Returns:
        Float32 `[num_items, dim]`, of the attributes' chunks side by side.
    """
    pairs = zip(model.config.attribute_names, model.item_tower.value_embeddings, strict=True)
    parts = [catalogue.values[name].distribution() @ table.numpy() for name, table in pairs]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _make_regression(known: np.ndarray, ridge: float) -> Callable[[np.ndarray], np.ndarray]:
    system = (known.T @ known).astype(np.float64)
    system[np.diag_indices_from(system)] += ridge
    factor = scipy.linalg.cho_factor(system)

    def regress(products: np.ndarray) -> np.ndarray:
        """Solves for products `[dim, columns]` of what is known with what is explained."""
        return scipy.linalg.cho_solve(factor, products).astype(np.float32)

    return regress
