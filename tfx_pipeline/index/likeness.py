"""Which known items a new one is like, by the evidence that gave it its place."""

from collections.abc import Sequence

import numpy as np

from addrl_keras.catalogue import Catalogue, Features
from addrl_keras.config import Config
from addrl_keras.new_items import compute_kernel, get_evidence_weights
from addrl_keras.teacher import get_evidence


def find_alike(
    config: Config, catalogue: Catalogue, num_old: int, new: Sequence[int], count: int
) -> list[list[tuple[str, float]]]:
    """Find the old items that new ones are most like.

    Args:
        config: The model's configuration.
        catalogue: All items, the old ones first.
        num_old: How many are old.
        new: Positions of new ones.
        count: How many to find for each.

    Returns:
        For each new item the ids of old ones and their similarities in 0..1, the most similar
        first; fewer than `count` where fewer are like it at all.
    """
    evidence = []
    for name, weight in get_evidence_weights(config):
        rows = get_evidence(catalogue, name)
        old, wanted = _center(rows[:num_old], rows[list(new)])
        evidence.append((weight, wanted, old))
    similarity = compute_kernel(evidence, power=1.0)
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return [
        [(catalogue.item_ids[j], float(row[j])) for j in order if row[j] > 0]
        for row, order in zip(similarity, best, strict=True)
    ]


def _center(old: Features, new: Features) -> tuple[Features, Features]:
    """Takes the old items' mean off dense vectors: what all photos share makes nothing alike."""
    if not isinstance(old, np.ndarray) or not old.any():
        return old, new
    mean = old[old.any(axis=1)].mean(axis=0)
    return tuple(np.where(part.any(axis=1)[:, None], part - mean, 0.0) for part in (old, new))
