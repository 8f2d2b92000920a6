"""Training by the paper's recipe, and what of it is served.

Validation is cut from train, where the authors stop on the test. What is served is the fitted
item vectors and, of each known user, the embedding. The paper knows nobody else; here a history
stands in, each of whose items counts as the mean of the users who took it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import keras
import numpy as np
import scipy.sparse
from keras import ops

from addrl_keras.callbacks import (
    BestWeights,
    FiniteLosses,
    Keeper,
    Lines,
    Progress,
    TensorBoardScalars,
    require_finite,
    word_time_left,
)
from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import Config
from addrl_keras.content import compute_distributions
from addrl_keras.metrics.ranking import compute_ranking_metrics
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.optimizers import TableAdam
from addrl_keras.paper.batches import TripleBatches
from addrl_keras.paper.towers import TERMS, PaperTowers
from addrl_keras.training import FitResult

K = 20
# Passes between two looks at validation, as the authors have it.
EPOCHS_PER_LOOK = 5


def fit_paper(
    config: Config,
    catalogue: Catalogue,
    interactions: Interactions,
    progress: Progress = lambda line: None,
    log_dir: str | None = None,
) -> FitResult:
    """Fits a model by the paper's recipe.

    Args:
        config: What to fit, with the recipe `paper`.
        catalogue: The items.
        interactions: Train and validation.
        progress: Called with a line of text as the work goes on.
        log_dir: Folder for TensorBoard's event files; None writes none.

    Returns:
        The fitted model, of the same form as that of our recipe.

    Raises:
        FloatingPointError: A term is not finite before the first look at validation, or in the fit
            on train and validation; the message names it, the epoch and the step. After a look,
            training ends and the best epoch is kept.
    """
    keras.utils.set_random_seed(config.training.seed)
    looks = Looks(catalogue, interactions, config.training.patience, progress)
    guard = _make_guard(config, looks)
    callbacks: list[keras.callbacks.Callback] = [guard, looks]
    if log_dir is not None:
        callbacks.append(TensorBoardScalars(os.path.join(log_dir, "paper"), (looks,)))
    towers = train(config, catalogue, interactions.train, config.training.epochs, *callbacks)
    if config.training.refit and interactions.validation.nnz:
        progress(f"refit on train + validation: {looks.best_epoch} epochs")
        callbacks = [_make_guard(config), Lines("refit", progress)]
        towers = train(config, catalogue, interactions.known, looks.best_epoch, *callbacks)
    known = interactions.known if config.training.refit else interactions.train
    distributions, _ = compute_distributions(config, catalogue, None)
    history = {"content": {}, "validation": looks.history}
    return FitResult(
        make_served_model(towers, catalogue, known, distributions),
        catalogue,
        interactions,
        _order_modalities(config, ops.convert_to_numpy(towers.compute_items()[2])),
        np.ones((len(config.attributes), len(config.chunk_names)), np.float32),
        history,
        looks.best_epoch,
    )


def train(
    config: Config,
    catalogue: Catalogue,
    known: scipy.sparse.csr_matrix,
    epochs: int,
    *callbacks: keras.callbacks.Callback,
) -> PaperTowers:
    """Trains from the first weights.

    Args:
        config: What to train.
        catalogue: The items.
        known: Binary CSR `[num_users, num_items]`.
        epochs: Passes over the interactions.
        *callbacks: Further ones.
    """
    training = config.training
    towers = PaperTowers(config, catalogue, known.shape[0])
    towers.compile(optimizer=TableAdam(training.learning_rate))
    batches = TripleBatches(known, training.batch_size, training.negatives, training.seed)
    if epochs:
        towers.fit(batches, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return towers


def _make_guard(config: Config, keeper: Keeper | None = None) -> FiniteLosses:
    remedy = f"lower training.learning_rate, now {config.training.learning_rate}"
    return FiniteLosses("paper", remedy, keeper)


class Looks(BestWeights):
    """Looks at validation every few passes; keeps the best weights, stops when it gets no better.

    It looks after the last pass too. `history` holds `ndcg_at_20`, `recall_at_20` and the terms, an
    entry a look.

    Args:
        catalogue: The items.
        interactions: Train and validation.
        patience: Looks without a better NDCG after which training stops.
        progress: Called with a line per look.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        interactions: Interactions,
        patience: int,
        progress: Callable[[str], None],
    ) -> None:
        super().__init__(patience, progress)
        self._catalogue, self._interactions = catalogue, interactions
        self.history: dict[str, list[float]] = {
            name: [] for name in ("ndcg_at_20", "recall_at_20", *TERMS)
        }

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        is_last = epoch + 1 == self.params["epochs"]
        if self.diverged or ((epoch + 1) % EPOCHS_PER_LOOK and not is_last):
            return
        try:
            figures = self._measure()
        except FloatingPointError as error:
            self.end_diverged(f"The paper phase diverged in epoch {epoch + 1}; {error}")
            return
        terms = {name: float((logs or {})[name]) for name in TERMS}
        for name, value in {**figures, **terms}.items():
            self.history[name].append(value)
        words = ", ".join(f"{name} {value:.3f}" for name, value in terms.items())
        self._progress(
            f"epoch {epoch + 1}: {words}, validation Recall@{K} {figures['recall_at_20']:.4f}, "
            f"NDCG@{K} {figures['ndcg_at_20']:.4f}, at most "
            f"{word_time_left(self._started, epoch + 1, self.params['epochs'])}"
        )
        self.keep_if_best(epoch + 1, figures["ndcg_at_20"])

    def _measure(self) -> dict[str, float]:
        interactions = self._interactions
        distributions, _ = compute_distributions(self.model.config, self._catalogue, None)
        model = make_served_model(self.model, self._catalogue, interactions.train, distributions)

        def score(history: scipy.sparse.csr_matrix, users: np.ndarray) -> np.ndarray:
            return require_finite(model.compute_scores(history, users), model.config)

        found = compute_ranking_metrics(
            score, interactions.train, interactions.validation, K, pass_users=True
        )
        return {name: found[name] for name in ("ndcg_at_20", "recall_at_20")}


def make_served_model(
    towers: PaperTowers,
    catalogue: Catalogue,
    known: scipy.sparse.csr_matrix,
    distributions: list[np.ndarray],
) -> AdDrl:
    """Makes the model that is served of one that was trained.

    A user's vector there is `n^-1/2 sum_h q_h` plus an embedding. `q_h` is the mean vector of the
    users who took the item, which gives a user whom the model does not know a place; the embedding
    of a known user is the rest, so that the sum is the trained vector.

    Args:
        towers: The trained model.
        catalogue: The items.
        known: Binary CSR `[num_users, num_items]`, the histories.
        distributions: The items' known attribute values, `[num_items, num_values_k]`.
    """
    config = towers.config
    shape = ModelShape(
        catalogue.num_items, known.shape[0], tuple(part.shape[1] for part in distributions)
    )
    model = AdDrl(config, shape)
    for weight, value in zip(model.item_tower.distributions, distributions, strict=True):
        weight.assign(value)
    fused = ops.convert_to_numpy(towers.compute_items()[1]).reshape(catalogue.num_items, -1)
    width = config.model.residual_dim
    chunks, embedding = model.item_tower.chunks, model.user_tower.embedding
    assert chunks is not None and embedding is not None, "the recipe has both"
    chunks.assign(fused[:, :-width])
    model.item_tower.residual.assign(fused[:, -width:])
    users = towers.user_embedding.numpy().reshape(known.shape[0], towers.num_chunks, -1)
    users = users / np.maximum(np.linalg.norm(users, axis=-1, keepdims=True), 1e-12)
    users = users.reshape(known.shape[0], -1)
    counts = np.maximum(np.asarray(known.sum(axis=0)).ravel(), 1.0)
    query = np.asarray(known.T @ users, np.float32) / counts[:, None]
    lengths = np.maximum(np.diff(known.indptr), 1.0)
    from_history = np.asarray(known @ query) * (lengths**-0.5)[:, None]
    model.user_tower.query.assign(query)
    embedding.assign(users - from_history)
    return model


def _order_modalities(config: Config, weights: np.ndarray) -> np.ndarray:
    """Orders attention `[num_items, num_chunks, id and content]` as the configuration does."""
    order = ["id", *(part.name for part in config.content_modalities)]
    names = [part.name if part.encoder != "id" else "id" for part in config.modalities]
    return weights[:, :, [order.index(name) for name in names]].astype(np.float32)
