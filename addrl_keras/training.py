"""Fitting a model: content side, closed-form start, gradient training, and the final refit.

Everything is chosen on the validation interactions; with `refit` the same recipe is then fitted on
train + validation for as many epochs as validation asked for, and the content side on all items,
each attribute for as many as the items held out asked for. Test interactions never come here.
"""

from __future__ import annotations

import dataclasses
import os

import keras
import numpy as np
import scipy.sparse

from addrl_keras.accounting import account_to_attributes
from addrl_keras.callbacks import (
    FiniteLosses,
    Lines,
    Progress,
    TensorBoardScalars,
    ValidationNdcg,
)
from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import PAPER, Config
from addrl_keras.content import ContentTower, compute_distributions, fit_content_tower
from addrl_keras.hold import choose_hold_weights
from addrl_keras.model import AdDrl
from addrl_keras.new_items import place_new_items
from addrl_keras.optimizers import TableAdam
from addrl_keras.start import make_started_model, validate_memory
from addrl_keras.watching import Watch


@dataclasses.dataclass(frozen=True)
class FitResult:
    """A fitted model with all that serving needs beside its weights.

    Args:
        model: The fitted towers.
        catalogue: The items, in the order of the model's item index.
        interactions: The known interactions, which are the stored histories of the served model.
        modality_weights: How much of every item's chunk is which modality's,
            float32 `[num_items, num_chunks, num_modalities]`.
        hold_weights: For each attribute of which a value is wanted, the weights of all chunks that
            keep the rest of a list (`addrl_keras.hold`), float32 `[num_attributes, num_chunks]`.
        history: Per phase (`content`, `validation`) the figures of every epoch, of the training
            that chose how many there are; as `content_held_out` the attributes' cross-entropies on
            items held out, whose lowest is the epoch that an attribute kept; and as `watch`, what
            was seen of entanglement and collapse (`addrl_keras.watching`).
        epochs: Epochs of gradient training that the model got; 0 means that the closed form was
            best on validation.
        content: What predicts missing attribute values from content; None where there is nothing
            to predict from, or it was not trained.
    """

    model: AdDrl
    catalogue: Catalogue
    interactions: Interactions
    modality_weights: np.ndarray
    hold_weights: np.ndarray
    history: dict[str, dict[str, list[float]]]
    epochs: int
    content: ContentTower | None = None

    @property
    def fitted_on(self) -> scipy.sparse.csr_matrix:
        """What the towers were fitted on in the end, binary CSR `[num_users, num_items]`."""
        refit = self.model.config.training.refit
        return self.interactions.known if refit else self.interactions.train


def fit(
    config: Config,
    catalogue: Catalogue,
    interactions: Interactions,
    progress: Progress = lambda line: None,
    log_dir: str | None = None,
) -> FitResult:
    """Fits a model.

    Args:
        config: What to fit.
        catalogue: The items.
        interactions: Train and validation.
        progress: Called with a line of text as the work goes on.
        log_dir: Folder for TensorBoard's event files; None writes none.

    Returns:
        The fitted model and its history.

    Raises:
        ValueError: The data are empty or do not fit the configuration or each other, or the
            machine's memory is too small for the teacher that the configuration asks for.
        FloatingPointError: A term is not finite where there are no weights to go back to, as in the
            content phase; the message names phase, term, epoch and step. Where validation has
            seen an epoch, training ends instead, and the best one so far is kept.
    """
    config.validate()
    catalogue.validate(config)
    interactions.validate(catalogue)
    if config.training.epochs:
        _validate_trainable(interactions)
    if config.recipe == PAPER:
        from addrl_keras.paper import fit_paper  # It is made of parts of this module.

        return fit_paper(config, catalogue, interactions, progress, log_dir)
    _validate_auxiliary(config, interactions)
    validate_memory(config, catalogue.num_items)
    keras.utils.set_random_seed(config.training.seed)
    tower, content_history = fit_content_tower(config, catalogue, progress, log_dir)
    distributions, shares = compute_distributions(config, catalogue, tower)

    fitted_on = interactions.train
    auxiliary = interactions.auxiliary
    model = make_started_model(config, catalogue, fitted_on, distributions, auxiliary)
    watch = Watch(catalogue, interactions.train, progress)
    validation = _train_with_validation(model, interactions, watch, progress, log_dir)
    epochs = validation.best_epoch
    places_new = _placing_helps(model, catalogue, interactions, progress)
    # Which weights hold a list is chosen on contributions, so they must be split as served.
    account_to_attributes(model, catalogue)
    hold_weights = choose_hold_weights(model, catalogue, interactions, progress)
    if config.training.refit and interactions.validation.nnz:
        progress(f"refit on train + validation: {epochs} epochs")
        fitted_on = interactions.known
        model = make_started_model(config, catalogue, fitted_on, distributions, auxiliary)
        _train(model, fitted_on, epochs, _make_guard(config), Lines("refit", progress))
    if places_new:
        new = _find_new(fitted_on)
        progress(f"items without interactions, placed by their content: {len(new)}")
        place_new_items(model, catalogue, fitted_on, new)
    account_to_attributes(model, catalogue)
    model.finish_training()  # Steps let go of the teacher, where there were any.
    history = {
        **content_history,
        "validation": validation.history,
        "watch": watch.history,
    }
    return FitResult(
        model,
        catalogue,
        interactions,
        make_modality_weights(config, shares),
        hold_weights,
        history,
        epochs,
        tower,
    )


def _validate_trainable(interactions: Interactions) -> None:
    """Raises `ValueError` where gradient training has nothing to hold out or to choose on."""
    remedy = "Add interactions, or set training.epochs to 0 to keep the closed form."
    lengths = np.diff(interactions.train.indptr)
    if lengths.max() < 2:
        raise ValueError(
            "Training holds out a part of a user's items, so some user needs two or more. "
            f"{remedy} Received: at most {lengths.max()} training interactions per user"
        )
    if not _count_choosers(interactions):
        raise ValueError(
            "The number of epochs is chosen on validation, so some user needs both a training and "
            f"a validation interaction. {remedy} "
            f"Received: {interactions.validation.nnz} validation interactions"
        )


def _validate_auxiliary(config: Config, interactions: Interactions) -> None:
    """Raises `ValueError` where the configuration counts auxiliary interactions and has none."""
    if not config.reads_auxiliary:
        return
    if interactions.auxiliary is None or not interactions.auxiliary.nnz:
        raise ValueError(
            "start.auxiliary_weight counts auxiliary interactions, and there are none with items "
            "of the catalogue. Give `Interactions.auxiliary`, or set the weight to 0. "
            f"Received: auxiliary_weight={config.start.auxiliary_weight:g}"
        )


class UserBatches(keras.utils.PyDataset):
    """Shuffled batches of users with all their items, as lists; nothing is ever dense."""

    def __init__(self, items: scipy.sparse.csr_matrix, batch_size: int, seed: int) -> None:
        super().__init__()
        self._items, self._batch_size = items, batch_size
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(np.flatnonzero(np.diff(items.indptr) > 1))

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        part = self._items[rows]
        lengths = np.diff(part.indptr).astype(np.int32)
        users = rows.astype(np.int32)
        return ({"items": part.indices.astype(np.int32), "lengths": lengths, "users": users},)

    def on_epoch_end(self) -> None:
        self._generator.shuffle(self._order)


def _train_with_validation(
    model: AdDrl,
    interactions: Interactions,
    watch: Watch,
    progress: Progress,
    log_dir: str | None,
) -> ValidationNdcg:
    training = model.config.training
    callback = ValidationNdcg(
        interactions.train,
        interactions.validation,
        training.patience,
        progress,
        training.validation_users,
    )
    if training.epochs:
        guard = _make_guard(model.config, callback)
        more: list[keras.callbacks.Callback] = [callback, watch]
        if log_dir is not None:
            more.append(TensorBoardScalars(os.path.join(log_dir, "towers"), (callback, watch)))
        _train(model, interactions.train, training.epochs, guard, *more)
    elif _count_choosers(interactions):
        callback.set_model(model)
        callback.on_train_begin()
    return callback


def _make_guard(config: Config, keeper: ValidationNdcg | None = None) -> FiniteLosses:
    remedy = f"lower training.learning_rate, now {config.training.learning_rate}"
    return FiniteLosses("tower", remedy, keeper)


def _find_new(items: scipy.sparse.csr_matrix) -> np.ndarray:
    """Items that nobody has taken, int `[num_new]`."""
    return np.flatnonzero(np.asarray(items.sum(axis=0)).ravel() == 0)


def _placing_helps(
    model: AdDrl, catalogue: Catalogue, interactions: Interactions, progress: Progress
) -> bool:
    """Tells, on validation, whether items that nobody took should be placed by their content.

    An item may have none because it came late, or because nobody wanted it; its content cannot
    tell. Where the first is the case, placing finds what would be missed. The model is given back
    as it was. Where there is nothing to choose on, they are placed.
    """
    new = _find_new(interactions.train)
    if not len(new) or not _count_choosers(interactions):
        return True
    weights = model.get_weights()
    users = model.config.training.validation_users
    validation = ValidationNdcg(interactions.train, interactions.validation, 1, users=users)
    without = validation.measure(model)["ndcg_at_20"]
    place_new_items(model, catalogue, interactions.train, new)
    placed = validation.measure(model)["ndcg_at_20"]
    model.set_weights(weights)
    progress(f"validation NDCG@20 with new items placed {placed:.4f}, without {without:.4f}")
    return placed >= without


def _count_choosers(interactions: Interactions) -> int:
    """Users with a training and a validation interaction, over whom validation averages."""
    has_train = np.diff(interactions.train.indptr) > 0
    return int((has_train & (np.diff(interactions.validation.indptr) > 0)).sum())


def _train(
    model: AdDrl, items: scipy.sparse.csr_matrix, epochs: int, *callbacks: keras.callbacks.Callback
) -> None:
    if not epochs:
        return
    training = model.config.training
    batches = UserBatches(items, training.batch_size, training.seed)
    # The cosine runs over the configured number of epochs also in the refit, which stops where
    # validation did.
    schedule = keras.optimizers.schedules.CosineDecay(
        training.learning_rate, training.epochs * len(batches), alpha=0.1
    )
    model.prepare_training(items)
    model.compile(optimizer=TableAdam(schedule))
    model.fit(batches, epochs=epochs, verbose=0, callbacks=list(callbacks))
    model.finish_training()


def make_modality_weights(config: Config, shares: np.ndarray) -> np.ndarray:
    """Sets the shares of each attribute chunk; the residual and the memory come from the id alone.

    Args:
        config: The model's configuration.
        shares: How much of each attribute chunk is which modality's, float `[num_items,
            num_attributes, num_content_modalities]`.

    Returns:
        Float32 `[num_items, num_chunks, num_modalities]`.
    """
    weights = np.zeros(
        (shares.shape[0], len(config.chunk_names), len(config.modalities)), np.float32
    )
    content = [m for m, modality in enumerate(config.modalities) if modality.encoder != "id"]
    weights[:, : shares.shape[1], content] = shares
    weights[:, shares.shape[1] :, config.modality_names.index(_id_modality(config))] = 1.0
    return weights


def _id_modality(config: Config) -> str:
    return next(modality.name for modality in config.modalities if modality.encoder == "id")
