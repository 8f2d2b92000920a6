"""Fitting a model: content side, closed-form start, gradient training, and the final refit.

Everything is chosen on the validation interactions; with `refit` the same recipe is then fitted on
train + validation for as many epochs as validation asked for. Test interactions never come here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import scipy.optimize
import scipy.sparse
import tensorflow as tf

from addrl_keras import closed_form
from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import Config
from addrl_keras.content import compute_distributions, fit_content_tower
from addrl_keras.losses.preference import history_softmax
from addrl_keras.metrics import ranking
from addrl_keras.model import AdDrl, ModelShape

Progress = Callable[[str], None]
K = 20


@dataclasses.dataclass(frozen=True)
class FitResult:
    """A fitted model with all that serving needs beside its weights.

    Args:
        model: The fitted towers.
        catalogue: The items, in the order of the model's item index.
        interactions: The known interactions, which are the stored histories of the served model.
        modality_weights: Attention over the modalities of every item and chunk,
            float32 `[num_items, num_chunks, num_modalities]`.
        history: Per phase (`content`, `validation`) the figures of every epoch.
        epochs: Epochs of gradient training that the model got; 0 means that the closed form was
            best on validation.
    """

    model: AdDrl
    catalogue: Catalogue
    interactions: Interactions
    modality_weights: np.ndarray
    history: dict[str, dict[str, list[float]]]
    epochs: int


def fit(
    config: Config,
    catalogue: Catalogue,
    interactions: Interactions,
    progress: Progress = lambda line: None,
) -> FitResult:
    """Fits a model.

    Args:
        config: What to fit.
        catalogue: The items.
        interactions: Train and validation.
        progress: Called with a line of text as the work goes on.

    Returns:
        The fitted model and its history.

    Raises:
        ValueError: The data are empty or do not fit the configuration or each other.
        FloatingPointError: A loss is not finite; the message names the phase and the epoch.
    """
    config.validate()
    catalogue.validate(config)
    interactions.validate()
    keras.utils.set_random_seed(config.training.seed)
    tower, content_history = fit_content_tower(config, catalogue)
    _validate_finite("content", content_history)
    progress(f"content side trained, {_describe_last(content_history)}")
    distributions, attention = compute_distributions(config, catalogue, tower)

    model = make_started_model(config, catalogue, interactions.train, distributions)
    callback = ValidationNdcg(
        interactions.train, interactions.validation, config.training.patience, progress
    )
    _train(model, interactions.train, config.training.epochs, callback)
    _validate_finite("towers", callback.history)
    epochs = callback.best_epoch
    if config.training.refit and interactions.validation.nnz:
        progress(f"refit on train + validation, {epochs} epochs")
        model = make_started_model(config, catalogue, interactions.known, distributions)
        _train(model, interactions.known, epochs, None)
    history = {"content": dict(content_history), "validation": callback.history}
    return FitResult(
        model, catalogue, interactions, _modality_weights(config, attention), history, epochs
    )


def make_started_model(
    config: Config,
    catalogue: Catalogue,
    history: scipy.sparse.csr_matrix,
    distributions: list[np.ndarray],
) -> AdDrl:
    """Builds a model and sets its weights to the start that the configuration asks for.

    Args:
        config: What to build.
        catalogue: The items.
        history: Binary CSR `[num_users, num_items]` that the teacher is fitted on.
        distributions: Value distribution of every item for each attribute.
    """
    shape = ModelShape(
        catalogue.num_items, history.shape[0], tuple(part.shape[1] for part in distributions)
    )
    model = AdDrl(config, shape)
    for weight, value in zip(model.item_tower.distributions, distributions, strict=True):
        weight.assign(value)
    if config.start.kind == "random":
        _start_at_random(model, config.training.seed)
    else:
        _start_in_closed_form(model, catalogue, history, distributions)
    return model


def _start_at_random(model: AdDrl, seed: int) -> None:
    for weight in (model.user_tower.query, model.item_tower.residual):
        weight.assign(keras.initializers.GlorotUniform(seed=seed)(weight.shape))
    if model.memory is not None:
        size = model.memory.source.shape[1]
        model.memory.source.assign(np.tile(np.arange(size), (model.shape.num_items, 1)))


def _start_in_closed_form(
    model: AdDrl,
    catalogue: Catalogue,
    history: scipy.sparse.csr_matrix,
    distributions: list[np.ndarray],
) -> None:
    config = model.config
    teacher = closed_form.compute_teacher(history, catalogue, config.start)
    affinity = closed_form.compute_affinity(teacher, distributions, config.start.affinity_ridge)
    chunks, reach = [], []
    for k, part in enumerate(affinity):
        embedding = closed_form.compute_value_embedding(part, model.chunk_dims[k])
        model.item_tower.value_embeddings[k].assign(embedding)
        chunks.append(part @ embedding)
        reach.append(distributions[k] @ embedding)
    remainder = closed_form.compute_remainder(teacher, chunks, reach)
    generator = np.random.default_rng(config.training.seed)
    query, item = closed_form.compute_residual_tower(
        history, remainder, config.model.residual_dim, generator
    )
    model.item_tower.residual.assign(item)
    model.user_tower.query.assign(np.concatenate([*chunks, query], axis=1))
    if model.memory is not None:
        remainder -= query @ item.T
        np.fill_diagonal(remainder, 0.0)
        source, weight = closed_form.compute_memory(remainder, model.memory.source.shape[1])
        model.memory.source.assign(source)
        model.memory.weight.assign(weight)
    scale_to_logits(model, history)


def scale_to_logits(model: AdDrl, history: scipy.sparse.csr_matrix, users: int = 512) -> float:
    """Scales the scores so that, read as logits, they predict held-out items of `history` best.

    Ranking does not change. The held-out items are those that the model's own training step would
    hold out.

    Returns:
        The factor that the query and memory weights were multiplied by.
    """
    low, high = model.config.training.keep_share
    generator = np.random.default_rng(model.config.training.seed)
    rows = generator.permutation(history.shape[0])[:users]
    items = history[np.sort(rows)].toarray()
    kept = items * (generator.random(items.shape) < generator.uniform(low, high, (len(items), 1)))
    scores = model.compute_scores(scipy.sparse.csr_matrix(kept))

    def loss(log_scale: float) -> float:
        scaled = tf.constant(scores * np.float32(np.exp(log_scale)))
        return float(history_softmax(scaled, tf.constant(kept), tf.constant(items - kept)))

    scale = float(
        np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-7.0, 7.0), method="bounded").x)
    )
    model.user_tower.query.assign(model.user_tower.query * scale)
    if model.memory is not None:
        model.memory.weight.assign(model.memory.weight * scale)
    return scale


class UserBatches(keras.utils.PyDataset):
    """Shuffled batches of users with all their items; only one batch is dense at a time."""

    def __init__(self, items: scipy.sparse.csr_matrix, batch_size: int, seed: int) -> None:
        super().__init__()
        self._items, self._batch_size = items, batch_size
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(np.flatnonzero(np.diff(items.indptr) > 1))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return ({"items": self._items[rows].toarray(), "users": rows.astype(np.int32)},)

    def on_epoch_end(self) -> None:
        self._generator.shuffle(self._order)


class ValidationNdcg(keras.callbacks.Callback):
    """Measures NDCG@20 on validation before the first epoch and after each; keeps the best.

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
        self._measure(0, float("nan"))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._measure(epoch + 1, float((logs or {})["loss"]))

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights(self._best_weights)

    def _measure(self, epoch: int, loss: float) -> None:
        figures = ranking.compute_ranking_metrics(
            self.model.compute_scores, self._train, self._validation, K
        )
        for name, value in {**figures, "loss": loss}.items():
            if name in self.history:
                self.history[name].append(value)
        ndcg = self.history["ndcg_at_20"]
        if epoch == 0 or ndcg[-1] > ndcg[self.best_epoch]:
            self.best_epoch, self._best_weights = epoch, self.model.get_weights()
        self._progress(f"epoch {epoch}: loss {loss:.4f}, validation NDCG@20 {ndcg[-1]:.4f}")
        if epoch - self.best_epoch >= self._patience:
            self.model.stop_training = True


def _train(
    model: AdDrl, items: scipy.sparse.csr_matrix, epochs: int, callback: ValidationNdcg | None
) -> None:
    training = model.config.training
    batches = UserBatches(items, training.batch_size, training.seed)
    # The cosine runs over the configured number of epochs also in the refit, which stops where
    # validation did.
    schedule = keras.optimizers.schedules.CosineDecay(
        training.learning_rate, max(1, training.epochs * len(batches)), alpha=0.1
    )
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    if callback is not None and not epochs:
        callback.set_model(model)
        callback.on_train_begin()
    elif epochs:
        model.fit(batches, epochs=epochs, verbose=0, callbacks=[callback] if callback else None)


def _modality_weights(config: Config, attention: np.ndarray) -> np.ndarray:
    """Attention by attribute chunk; the residual and the memory come from the id alone."""
    weights = np.zeros(
        (attention.shape[0], len(config.chunk_names), len(config.modalities)), np.float32
    )
    content = [m for m, modality in enumerate(config.modalities) if modality.encoder != "id"]
    weights[:, : attention.shape[1], content] = attention
    weights[:, attention.shape[1] :, config.modality_names.index(_id_modality(config))] = 1.0
    return weights


def _id_modality(config: Config) -> str:
    return next(modality.name for modality in config.modalities if modality.encoder == "id")


def _validate_finite(phase: str, history: Any) -> None:
    for name, values in _series(history):
        bad = [
            epoch
            for epoch, value in enumerate(values)
            if not np.isfinite(value) and not (name == "loss" and epoch == 0)
        ]
        if bad and phase != "content":
            raise FloatingPointError(
                f"The {phase} phase lost its way: {name} is {values[bad[0]]} in epoch {bad[0]}."
            )
        if bad:
            raise FloatingPointError(
                f"The content phase lost its way: {name} is {values[bad[0]]} in epoch {bad[0]}."
            )


def _series(history: Any) -> Iterator[tuple[str, list[float]]]:
    yield from history.items()


def _describe_last(history: Any) -> str:
    return (
        ", ".join(f"{name} {values[-1]:.3f}" for name, values in _series(history) if values)
        or "no content losses"
    )
