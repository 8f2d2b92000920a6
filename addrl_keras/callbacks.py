"""What watches over training: figures that stay finite, and the best epoch on validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import scipy.sparse

from addrl_keras.metrics import ranking

Progress = Callable[[str], None]
K = 20


class FiniteLosses(keras.callbacks.Callback):
    """Stops training at the end of the first epoch with a loss that is not finite.

    Args:
        phase: Name of the phase, for the message.
        remedy: What to change, for the message.

    Raises:
        FloatingPointError: A loss is NaN or infinite. The message names the loss and the epoch.
    """

    def __init__(self, phase: str, remedy: str) -> None:
        super().__init__()
        self._phase, self._remedy = phase, remedy

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"The {self._phase} phase diverged; {self._remedy}. "
                    f"Received: {name} {float(value)} in epoch {epoch + 1}"
                )


class ValidationNdcg(keras.callbacks.Callback):
    """Measures NDCG@20 on validation before the first epoch and after each; keeps the best.

    `history` holds `ndcg_at_20` and `recall_at_20`, whose first entry is the start, and `loss`,
    which has one entry per epoch of training, so one less.

    Args:
        train: What the user tower encodes, `[num_users, num_items]`.
        validation: What it has to find.
        patience: Epochs without a better figure after which training stops.
        progress: Called with a line per epoch.
    """

    def __init__(
        self,
        train: scipy.sparse.csr_matrix,
        validation: scipy.sparse.csr_matrix,
        patience: int,
        progress: Progress = lambda line: None,
    ) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._patience, self._progress = patience, progress
        self._best_weights: Any = None
        self.best_epoch = 0
        self.history: dict[str, list[float]] = {"ndcg_at_20": [], "recall_at_20": [], "loss": []}

    def on_train_begin(self, logs: Any = None) -> None:
        figure = self._measure(0)
        self._progress(f"start: validation NDCG@{K} {figure:.4f}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = float((logs or {})["loss"])
        self.history["loss"].append(loss)
        figure = self._measure(epoch + 1)
        self._progress(f"epoch {epoch + 1}: loss {loss:.4f}, validation NDCG@{K} {figure:.4f}")
        if epoch + 1 - self.best_epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights(self._best_weights)

    def _measure(self, epoch: int) -> float:
        def score(history: scipy.sparse.csr_matrix, users: np.ndarray) -> np.ndarray:
            return self.model.compute_scores(history, users)

        figures = ranking.compute_ranking_metrics(
            score, self._train, self._validation, K, pass_users=True
        )
        for name in ("ndcg_at_20", "recall_at_20"):
            self.history[name].append(figures[name])
        ndcg = self.history["ndcg_at_20"]
        if epoch == 0 or ndcg[-1] > ndcg[self.best_epoch]:
            self.best_epoch, self._best_weights = epoch, self.model.get_weights()
        return ndcg[-1]
