"""Batches of interactions, each with items that its user did not take."""

from __future__ import annotations

import keras
import numpy as np
import scipy.sparse


def draw_negatives(
    users: np.ndarray,
    known: scipy.sparse.csr_matrix,
    count: int,
    generator: np.random.Generator,
    rounds: int = 50,
) -> np.ndarray:
    """Draws items uniformly from those that each user did not take.

    Args:
        users: Int `[batch]`.
        known: Binary CSR `[num_users, num_items]`, what they took.
        count: Draws per user, with replacement.
        generator: For the draws.
        rounds: Draws that hit what is known are drawn again, so often; what is left then belongs to
            users with nearly the whole catalogue and stays.

    Returns:
        Int64 `[batch, count]`.
    """
    num_items = known.shape[1]
    drawn = generator.integers(0, num_items, (len(users), count))
    rows = np.repeat(users, count)
    flat = drawn.reshape(-1)
    pending = np.arange(flat.size)
    for _ in range(rounds):
        pending = pending[np.asarray(known[rows[pending], flat[pending]]).ravel() != 0]
        if not pending.size:
            break
        flat[pending] = generator.integers(0, num_items, pending.size)
    return flat.reshape(drawn.shape)


class TripleBatches(keras.utils.PyDataset):
    """Shuffled interactions with fresh negatives in every pass.

    A batch is a dict with `users`, `positives`, int `[batch]`, and `negatives`, int `[batch,
    num_negatives]`.

    Args:
        known: Binary CSR `[num_users, num_items]`.
        batch_size: Interactions per batch.
        num_negatives: Negatives of each.
        seed: Of the order and the draws.
    """

    def __init__(
        self, known: scipy.sparse.csr_matrix, batch_size: int, num_negatives: int, seed: int
    ) -> None:
        super().__init__()
        pairs = known.tocoo()
        self._users, self._items = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
        self._known, self._batch_size, self._count = known, batch_size, num_negatives
        self._generator = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        rows = slice(index * self._batch_size, (index + 1) * self._batch_size)
        chosen = self._order[rows]
        batch = {"users": self._users[chosen], "positives": self._items[chosen]}
        return ({**batch, "negatives": self._negatives[rows]},)

    def on_epoch_end(self) -> None:
        self._order = self._generator.permutation(len(self._users))
        users = self._users[self._order]
        self._negatives = draw_negatives(users, self._known, self._count, self._generator)
