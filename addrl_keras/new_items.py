r"""Items without interactions: their place among the others, from what is known of their content.

Let `B` be the fitted model's item-to-item weights among the items with interactions (row: item in
the history, column: item scored), with `self_weight` times the mean column sum of `|B|` on its
diagonal: that somebody took an item is a reason to show its like. A new item's column is what
kernel ridge regression predicts from its content,

    column(i) = B alpha(i),     alpha(i) = (K + ridge I)^-1 k(i),

where `K` holds the similarities of the items with interactions and `k(i)` those to the new one,
both raised to `power`. A similarity is the weighted mean of cosines over the evidence that the new
item has, so a missing photo costs an item that photo and nothing else. The nearest neighbours'
plain mean, which is the usual way, counts ten alike items ten times; the regression does not.

The column's size is capped at that of nearly all old ones, and it is then split like every other:
the attribute chunks are the item's own values, the residual vector is the least-squares fit of the
rest, and the memory keeps what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.linalg
import scipy.sparse

from addrl_keras import closed_form
from addrl_keras.catalogue import Catalogue, Features, compute_similarity, find_present
from addrl_keras.config import Config, NewItemsConfig
from addrl_keras.model import AdDrl
from addrl_keras.teacher import get_evidence
from addrl_keras.towers import Memory, scale_histories

_RESIDUAL_RIDGE = 1e-3
# Users that the size of scores is measured on, and the share of old items that is no larger.
_USERS = 2000
_LARGE = 0.9
_ATTEMPTS = 8
# New items that are placed at once.
_BLOCK = 20_000


def place_new_items(
    model: AdDrl, catalogue: Catalogue, known: scipy.sparse.csr_matrix, new: np.ndarray
) -> None:
    """Sets the weights of items without interactions; those of all others stay as they are.

    Args:
        model: The fitted towers. Their value distributions must be set for the new items already.
        catalogue: All items, old and new.
        known: Binary CSR `[num_users, num_items]`, what the model was fitted on. The items that
            occur in it are those to learn from, the most taken of them where there are more than
            `new_items.landmarks`; where there are none, or where the configuration has no evidence
            of what an item is like, nothing happens.
        new: Int `[num_new]`, the items to place; none of them occurs in `known`.
    """
    counts = np.asarray(known.sum(axis=0), dtype=np.float32).ravel()
    old = _choose_landmarks(counts, model.config.new_items.landmarks)
    if not len(old) or not len(new) or not get_evidence_weights(model.config):
        return
    items = np.array(model.item_tower(None))
    query = model.user_tower.query.numpy()
    everything = model.item_tower.residual.numpy()
    width = model.config.model.residual_dim
    columns = compute_weights(model, items, query, old)
    self_weight = model.config.new_items.self_weight * np.abs(columns).sum(axis=0).mean()
    usual = _compute_sizes(known[:, old], columns)
    np.fill_diagonal(columns, self_weight)
    for part, alpha in iterate_coefficients(model.config, catalogue, old, new):
        block = new[part]
        placed = columns @ alpha
        placed *= _compute_cap(_compute_sizes(known[:, old], placed), usual)
        rest = placed - query[old, :-width] @ items[block, :-width].T
        residual = _fit_residual(query[old, -width:], rest, counts[old])
        query[block] = alpha.T @ query[old]
        everything[block] = residual
        if model.memory is not None:
            _set_memory(model.memory, rest - query[old, -width:] @ residual.T, old, block)
    model.user_tower.query.assign(query)
    model.item_tower.residual.assign(everything)


def _choose_landmarks(counts: np.ndarray, most: int) -> np.ndarray:
    """Chooses the items to learn from: those that were taken, the most taken of too many."""
    taken = np.flatnonzero(counts)
    if len(taken) <= most:
        return taken
    return np.sort(taken[np.argsort(-counts[taken], kind="stable")[:most]])


def _compute_sizes(history: scipy.sparse.csr_matrix, columns: np.ndarray) -> np.ndarray:
    """How large the scores of items are: root mean square over users, `[num_columns]`."""
    rows = history[np.linspace(0, history.shape[0] - 1, _USERS).astype(int)]
    scores = scale_histories(rows) @ columns
    return np.sqrt(np.mean(np.square(scores), axis=0))


def _compute_cap(sizes: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The factor by which a new item's column shrinks, `[num_new]`.

    Likeness to many items of a long history adds up, and no interaction of the new item's own pulls
    the sum back: nobody's scores may be larger than those of nearly all old items.
    """
    limit = np.quantile(usual, _LARGE)
    return np.minimum(1.0, np.divide(limit, sizes, out=np.ones_like(sizes), where=sizes > 0))


def iterate_coefficients(
    config: Config, catalogue: Catalogue, old: np.ndarray, new: np.ndarray, block: int = _BLOCK
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Computes `alpha`, how much each old item counts for each new one, block by block.

    Args:
        config: Its `new_items`.
        catalogue: All items.
        old: Int `[num_old]`, the items to learn from.
        new: Int `[num_new]`, the items to place.
        block: New items at once, at most.

    Yields:
        Indices into `new`, and their coefficients, float32 `[num_old, num_indices]`; every new item
        is in one block. A column of zeros is an item of which nothing is known.
    """
    unknown = np.ones(len(new), bool)
    # Old items must be compared by what the new one has, or one of which little is known would be
    # as like to many items as these, by all that is known of them, are not like each other.
    for same, evidence in group_by_evidence(config, catalogue, old, new):
        unknown[same] = False
        factor = _factor_kernel(config.new_items, evidence, old)
        for part in _cut(same, block):
            sides = [(weight, rows[old], rows[new[part]]) for weight, rows in evidence]
            to_new = compute_kernel(sides, config.new_items.power)
            yield part, scipy.linalg.cho_solve(factor, to_new)
    for part in _cut(np.flatnonzero(unknown), block):
        yield part, np.zeros((len(old), len(part)), np.float32)


def _cut(indices: np.ndarray, block: int) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), block):
        yield indices[start : start + block]


def group_by_evidence(
    config: Config, catalogue: Catalogue, old: np.ndarray, new: np.ndarray
) -> Iterator[tuple[np.ndarray, list[tuple[float, Features]]]]:
    """Groups new items by what is known of them.

    Args:
        config: The model's configuration.
        catalogue: All items.
        old: Int `[num_old]`; the mean of their dense vectors is taken off all dense vectors.
        new: Int `[num_new]`.

    Yields:
        Indices into `new` of items with the same evidence, and that evidence: for each modality or
        attribute its weight and the features of all items. Items of which nothing is known are in
        no group.
    """
    evidence = [
        (weight, _center(get_evidence(catalogue, name), old))
        for name, weight in get_evidence_weights(config)
    ]
    present = np.array([find_present(rows)[new] for _, rows in evidence]).T.reshape(len(new), -1)
    for pattern in np.unique(present, axis=0):
        shared = [part for part, is_there in zip(evidence, pattern, strict=True) if is_there]
        if shared:
            yield np.flatnonzero((present == pattern).all(axis=1)), shared


def _factor_kernel(
    settings: NewItemsConfig, evidence: Sequence[tuple[float, Features]], old: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Factors `K + ridge I` of the old items, as `scipy.linalg.cho_solve` takes it."""
    kernel = compute_kernel([(w, rows[old], rows[old]) for w, rows in evidence], settings.power)
    kernel[np.diag_indices_from(kernel)] += np.float32(settings.ridge)
    for _ in range(_ATTEMPTS):
        try:
            return scipy.linalg.cho_factor(kernel)
        except scipy.linalg.LinAlgError:
            # Cosines below 0 count as 0, which can leave a negative eigenvalue: more ridge.
            kernel[np.diag_indices_from(kernel)] *= 2.0
    raise ValueError(
        "The similarities of items have no positive definite matrix; raise new_items.ridge. "
        f"Received: {settings.ridge}"
    )


def get_evidence_weights(config: Config) -> tuple[tuple[str, float], ...]:
    """Gets the weight of each modality and attribute in the similarity of two items."""
    if config.new_items.evidence:
        return tuple(pair for pair in config.new_items.evidence if pair[1] > 0)
    categorical = [part.name for part in config.attributes if part.kind == "categorical"]
    modalities = [(part.name, 1.0) for part in config.content_modalities]
    return (*modalities, *((name, 1.0 / len(categorical)) for name in categorical))


def compute_kernel(
    evidence: Sequence[tuple[float, Features, Features]], power: float
) -> np.ndarray:
    """Computes the similarity of two sets of items, a weighted mean of cosines, to a power.

    What an item lacks counts as a cosine of 0. A mean over what two items share would be kinder to
    items with gaps, but is no inner product: its matrix has negative eigenvalues, and a regression
    on it blows up.

    Args:
        evidence: For each modality or attribute its weight, and the features of both sets,
            `[num_rows, dim]` and `[num_columns, dim]`. A row of zeros is a missing one.
        power: Power of the similarity.

    Returns:
        Float32 `[num_rows, num_columns]` in 0..1.
    """
    shape = (evidence[0][1].shape[0], evidence[0][2].shape[0]) if evidence else (0, 0)
    total = np.zeros(shape, np.float32)
    for weight, rows, columns in evidence:
        total += np.float32(weight) * np.maximum(compute_similarity(rows, columns), 0.0)
    scale = sum(weight for weight, _, _ in evidence)
    return (total / np.float32(scale)) ** power if scale else total


def _center(features: Features, old: np.ndarray) -> Features:
    """Takes the mean of the old items off dense vectors; what all items share tells nothing."""
    if scipy.sparse.issparse(features):
        return scipy.sparse.csr_matrix(features)
    present = find_present(features)
    base = old[present[old]]
    if not len(base):
        return features
    return np.where(present[:, None], features - features[base].mean(axis=0), 0.0)


def compute_weights(
    model: AdDrl, items: np.ndarray, query: np.ndarray, old: np.ndarray
) -> np.ndarray:
    """Computes what each of some items in a history adds to each one's score, `n^-1/2` left out.

    Args:
        model: The fitted towers.
        items: Float `[num_items, dim]`, the vectors of all items.
        query: Float `[num_items, dim]`, their query vectors.
        old: Int `[num_old]`, which items.

    Returns:
        Float `[num_old, num_old]`; row: item of the history, column: item scored.
    """
    weights = query[old] @ items[old].T
    if model.memory is not None:
        weights += model.memory.compute_matrix()[old][:, old].toarray()
    return weights


def _fit_residual(query: np.ndarray, rest: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Fits `query v ~ rest` by least squares, items weighted by how many took them.

    Args:
        query: `[num_old, residual_dim]`.
        rest: `[num_old, num_new]`.
        counts: `[num_old]`.

    Returns:
        `v`, float32 `[num_new, residual_dim]`.
    """
    weighted = query * counts[:, None]
    system = weighted.T @ query
    scale = np.trace(system) / len(system)
    system[np.diag_indices_from(system)] += _RESIDUAL_RIDGE * scale + 1e-12
    return scipy.linalg.solve(system, weighted.T @ rest, assume_a="pos").T.astype(np.float32)


def _set_memory(memory: Memory, rest: np.ndarray, old: np.ndarray, new: np.ndarray) -> None:
    """Keeps the largest entries of what is left `[num_old, num_new]` as the memory of new items."""
    source, weight = memory.source.numpy(), memory.weight.numpy()
    size = min(source.shape[1], len(old))
    kept, value = closed_form.compute_memory(rest, size)
    source[new], weight[new] = 0, 0.0
    source[new, :size], weight[new, :size] = old[kept], value
    memory.source.assign(source)
    memory.weight.assign(weight)
