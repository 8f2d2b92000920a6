r"""Which epoch each attribute of the content side keeps, and how sure it is of what it predicts.

The cross-entropy of items that are not trained on adds up two errors: values that cannot be told
apart, and probabilities that are too high or too low. Training makes the second grow long before
the first stops falling, and one number an attribute mends it afterwards,

    p = softmax(logits / T),    T > 0 that minimises the cross-entropy of the items held out,

which changes no order. So what decides on an epoch is the cross-entropy that is left at the best
`T`. Some attributes are learnt in one epoch and others in twenty, and each has a chunk of its own:
each keeps its own epoch.

Reference:
    Berta et al., Rethinking Early Stopping: Refine, Then Calibrate, arXiv 2501.19195; Guo et al.,
    On Calibration of Modern Neural Networks, arXiv 1706.04599.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special

from addrl_keras.callbacks import Keeper, Progress

# Of the logarithm of a temperature.
_BOUNDS = (-3.0, 3.0)
# Labels below which a temperature, and what an attribute says of an epoch, would be chance.
FEWEST_LABELS = 20


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Fits the temperature at which `softmax(logits / T)` predicts the labels best.

    `T` minimises `sum_i CE(label_i, softmax(logits_i / T)) + log(T)^2 / 2`: the second term, a
    standard normal prior, keeps it finite where all labels are told right.

    Args:
        logits: Float `[num_items, num_values]`.
        labels: Float `[num_items, num_values]`, rows that add up to 1.

    Returns:
        `(temperature, cross_entropy)`, the second averaged over the items.

    Raises:
        ValueError: There are no labels, or the shapes differ.
        FloatingPointError: The logits are not finite.

    Example:
        >>> logits = np.tile([4.0, 0.0], (1000, 1))  # 98 % sure, and 73 % are right
        >>> round(fit_temperature(logits, np.repeat(np.eye(2), [731, 269], axis=0))[0], 1)
        4.0
    """
    if logits.shape != labels.shape or not len(labels):
        raise ValueError(
            "A temperature needs logits and labels of the same items and values, and one item or "
            f"more. Received: shapes {logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise FloatingPointError("logits that are not finite, which no temperature fits")
    logits = logits.astype(np.float64)

    def compute_cross_entropy(log_temperature: float) -> float:
        log_probability = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-np.sum(labels * log_probability) / len(labels))

    found = scipy.optimize.minimize_scalar(
        lambda x: compute_cross_entropy(x) + x**2 / (2 * len(labels)),
        bounds=_BOUNDS,
        method="bounded",
    )
    return float(np.exp(found.x)), compute_cross_entropy(found.x)


class _ChunkKeeper(Keeper):
    """Keeps what is an attribute's as it was after some epoch, and goes back to that in the end.

    What is no attribute's goes back to the last of these epochs.
    """

    def __init__(self, num_attributes: int, progress: Progress = lambda line: None) -> None:
        super().__init__(progress)
        self.epochs = [0] * num_attributes
        self.history: dict[str, list[float]] = {}
        self._kept: dict[int, list[np.ndarray]] = {}
        self._whole: list[np.ndarray] | None = None

    @property
    def has_kept(self) -> bool:
        return len(self._kept) == len(self.epochs)

    def on_train_end(self, logs: Any = None) -> None:
        if self._whole is not None:
            self.model.set_weights(self._whole)
        for attribute, weights in self._kept.items():
            self.model.set_attribute_weights(attribute, weights)

    def _keep(self, attribute: int, epoch: int) -> None:
        if epoch + 1 not in self.epochs:
            self._whole = self.model.get_weights()
        self.epochs[attribute] = epoch + 1
        self._kept[attribute] = self.model.get_attribute_weights(attribute)


class ChosenEpochs(_ChunkKeeper):
    """Leaves each attribute's chunk as it was after a given epoch.

    Args:
        epochs: Of each attribute, from 1.
        progress: Called with a line where training has to end.
    """

    def __init__(self, epochs: Sequence[int], progress: Progress = lambda line: None) -> None:
        super().__init__(len(epochs), progress)
        self._chosen = tuple(epochs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.diverged:
            return
        for attribute, chosen in enumerate(self._chosen):
            if epoch + 1 == chosen:
                self._keep(attribute, epoch)


class HeldOutValues(_ChunkKeeper):
    """Keeps of each attribute the epoch that tells values of held-out items apart best.

    An attribute with fewer than 20 labels has no say: it keeps the epoch that is best for the
    others together, and a temperature of 1.

    Args:
        predict: Of a model the logits of the held-out items, `[num_held_out, num_values_k]` for
            each attribute. The model has a weight `temperatures` `[num_attributes]`, which divides
            them, and gives and takes what belongs to one attribute, as `ContentTower` does.
        labels: Float `[num_held_out, num_values_k]` for each attribute; a row of zeros is an item
            whose value is not known.
        patience: Epochs without a better figure of any attribute that has a say after which
            training stops.
        progress: Called with a line where training has to end.

    Attributes:
        epochs: Of each attribute the number of the epoch that is kept, from 1; 0 before the first.
        losses: Of each attribute the cross-entropy at the best temperature, of every epoch; empty
            where it has no say.
        history: As `held_out` their sum, of every epoch.

    Raises:
        ValueError: No attribute has a say.
        FloatingPointError: A logit is not finite in the first epoch; the message names the epoch.
            Later, training ends and what was kept is gone back to.
    """

    def __init__(
        self,
        predict: Callable[[Any], Sequence[np.ndarray]],
        labels: Sequence[np.ndarray],
        patience: int,
        progress: Progress = lambda line: None,
    ) -> None:
        super().__init__(len(labels), progress)
        self._predict, self._labels, self._patience = predict, labels, patience
        known = {k: np.flatnonzero(part.any(axis=1)) for k, part in enumerate(labels)}
        self._known = {k: rows for k, rows in known.items() if len(rows) >= FEWEST_LABELS}
        if not self._known:
            raise ValueError(
                f"Some attribute needs {FEWEST_LABELS} held-out items whose value is known. "
                f"Received: {[len(rows) for rows in known.values()]}"
            )
        self._best = [float("inf")] * len(labels)
        self._temperatures = [1.0] * len(labels)
        self.losses: list[list[float]] = [[] for _ in labels]
        self.history["held_out"] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.model.temperatures.assign(np.ones(len(self._labels)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.diverged:
            return
        try:
            found = self._fit_temperatures()
        except FloatingPointError as error:
            self.end_diverged(
                f"The content phase diverged in epoch {epoch + 1}; lower "
                f"training.content_learning_rate. Received: {error}"
            )
            return
        total = sum(loss for _, loss in found.values())
        self.history["held_out"].append(total)
        for attribute in range(len(self._labels)):
            temperature, loss = found.get(attribute, (1.0, total))
            if loss < self._best[attribute]:
                self._best[attribute], self._temperatures[attribute] = loss, temperature
                self._keep(attribute, epoch)
            if attribute in found:
                self.losses[attribute].append(loss)
        if epoch + 1 - max(self.epochs[attribute] for attribute in found) >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        super().on_train_end()
        self.model.temperatures.assign(self._temperatures)

    def _fit_temperatures(self) -> dict[int, tuple[float, float]]:
        """Fits them where labels are enough: by attribute the temperature, and the loss at it."""
        logits = self._predict(self.model)
        return {
            k: fit_temperature(logits[k][known], self._labels[k][known])
            for k, known in self._known.items()
        }
