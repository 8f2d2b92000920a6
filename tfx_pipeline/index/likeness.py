"""Which known items a new one is like, by the evidence that gave it its place."""

from collections.abc import Sequence

import numpy as np

from addrl_keras.catalogue import Catalogue
from addrl_keras.config import Config
from addrl_keras.new_items import compute_kernel, group_by_evidence


def find_alike(
    config: Config, catalogue: Catalogue, num_old: int, new: Sequence[int], count: int
) -> list[list[tuple[str, float]]]:
    """Find the old items that new ones are most like, by what is known of the new ones.

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
    old, wanted = np.arange(num_old), np.array(new, dtype=int)
    similarity = np.zeros((len(wanted), num_old), np.float32)
    for same, evidence in group_by_evidence(config, catalogue, old, wanted):
        parts = [(weight, rows[wanted[same]], rows[old]) for weight, rows in evidence]
        similarity[same] = compute_kernel(parts, power=1.0)
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
    return [
        [(catalogue.item_ids[j], float(row[j])) for j in order if row[j] > 0]
        for row, order in zip(similarity, best, strict=True)
    ]
