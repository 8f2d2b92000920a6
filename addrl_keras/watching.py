"""Entanglement and collapse, watched while the towers are trained, and said in words.

An attribute's chunk sees its values alone, so nothing can entangle it; what can go wrong is that
the residual learns an attribute as well, and that vectors collapse onto a few dimensions. What a
linear probe reads of the residual is accounted to the attribute in the end (`accounting.py`); what
the steps have taught it beside that stays. The failure signatures are those that the paper's losses
are known for.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import scipy.sparse

from addrl_keras.callbacks import Progress
from addrl_keras.catalogue import Catalogue
from addrl_keras.metrics.disentanglement import compute_effective_rank, compute_probe_accuracy
from addrl_keras.towers import scale_histories

# Users whose vectors are looked at.
_USERS = 1000
# Items whose residuals are probed.
_ITEMS = 20_000
# A probe of the residual this much above guessing says that it holds the attribute too.
_HOLDS = 0.15
# Vectors that use less than this share of their dimensions have collapsed.
_COLLAPSED = 0.05
# Whatever the dimensions, vectors on a line have.
_LINE = 1.5


class Watch(keras.callbacks.Callback):
    """Probes the residual for each attribute and measures effective ranks, after every epoch.

    `history` holds `residual_probe_NAME`, `user_rank` and `item_rank`, one entry per epoch.

    Args:
        catalogue: The items, with the attributes' values.
        history: Binary CSR `[num_users, num_items]`, whose users are looked at.
        progress: Called with a line where something is wrong.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        history: scipy.sparse.csr_matrix,
        progress: Progress = lambda line: None,
    ) -> None:
        super().__init__()
        probed = np.linspace(0, catalogue.num_items - 1, min(_ITEMS, catalogue.num_items))
        self._items = probed.astype(int)
        self._labels = {
            name: get_single_labels(part.matrix)[self._items]
            for name, part in catalogue.values.items()
        }
        rows = np.flatnonzero(np.diff(history.indptr))[:_USERS]
        self._scaled, self._progress = scale_histories(history[rows]), progress
        self._said: set[str] = set()
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        width = self.model.config.model.residual_dim
        items = np.asarray(self.model.item_tower(None))[self._items]
        if not np.isfinite(items).all():
            return  # A guard says what is wrong.
        for name in self.model.config.attribute_names:
            found, guess = compute_probe_accuracy(items[:, -width:], self._labels[name])
            self._keep(f"residual_probe_{name}", found)
            if found > guess + _HOLDS:
                self._say(
                    f"the residual tells {name} with accuracy {found:.2f} (guessing: {guess:.2f}): "
                    f"what differs by value is accounted to {name} in the end, what else it has "
                    "learnt is not. Lower training.learning_rate or training.epochs"
                )
        users = self._scaled @ self.model.user_tower.query.numpy()
        for what, vectors in (("user", users), ("item", items)):
            rank, dim = compute_effective_rank(vectors), vectors.shape[1]
            self._keep(f"{what}_rank", rank)
            if rank < max(_LINE, _COLLAPSED * dim):
                self._say(
                    f"{what} vectors have collapsed: they use {rank:.1f} of {dim} dimensions. "
                    "Lower training.learning_rate"
                )

    def _keep(self, name: str, value: float) -> None:
        self.history.setdefault(name, []).append(value)

    def _say(self, line: str) -> None:
        """Says a line once a training, whatever its numbers."""
        key = line.split(":")[0].split(" with")[0]
        if key not in self._said:
            self._said.add(key)
            self._progress(f"watch: {line}")


def get_single_labels(matrix: scipy.sparse.csr_matrix) -> np.ndarray:
    """Returns the value of each item that has exactly one, int `[num_items]`, -1 for all others."""
    labels = np.full(matrix.shape[0], -1)
    single = np.flatnonzero(np.diff(matrix.indptr) == 1)
    labels[single] = matrix.indices[matrix.indptr[single]]
    return labels
