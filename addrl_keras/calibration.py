r"""Which epoch of the content side is kept, and how sure it is of what it predicts.

The cross-entropy of items that are not trained on adds up two errors: values that cannot be told
apart, and probabilities that are too high or too low. Training makes the second grow long before
the first stops falling, and one number an attribute mends it afterwards,

    p = softmax(logits / T),    T > 0 that minimises the cross-entropy of the items held out,

which changes no order. So what decides on the best epoch is the cross-entropy that is left at the
best `T` of each attribute.

Reference:
    Berta et al., Rethinking Early Stopping: Refine, Then Calibrate, arXiv 2501.19195; Guo et al.,
    On Calibration of Modern Neural Networks, arXiv 1706.04599.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special
from keras import ops

from addrl_keras.callbacks import Keeper

# Of the logarithm of a temperature.
_BOUNDS = (-3.0, 3.0)
# Labels below which a temperature would be chance.
_FEWEST = 20


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Fits the temperature at which `softmax(logits / T)` predicts the labels best.

    Args:
        logits: Float `[num_items, num_values]`.
        labels: Float `[num_items, num_values]`, rows that add up to 1; a row of zeros counts for
            nothing.

    Returns:
        `(temperature, cross_entropy)`, the second averaged over the items with a label. Of fewer
        than 20 labels the temperature is 1, and of none the cross-entropy 0.
    """
    known = labels.any(axis=1)
    if not known.any():
        return 1.0, 0.0
    logits, labels = logits[known].astype(np.float64), labels[known]

    def compute_loss(log_temperature: float) -> float:
        log_probability = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-np.sum(labels * log_probability) / len(labels))

    if len(labels) < _FEWEST:
        return 1.0, compute_loss(0.0)
    found = scipy.optimize.minimize_scalar(compute_loss, bounds=_BOUNDS, method="bounded")
    return float(np.exp(found.x)), float(found.fun)


class HeldOutValues(Keeper):
    """Keeps the epoch that tells values of held-out items apart best, and calibrates it.

    `history` holds `held_out`, the cross-entropy at the best temperatures, summed over the
    attributes, of every epoch; `best_epoch` is the number of the one that is kept, from 1.

    Args:
        features: Float `[num_held_out, dim_m]`, one per content modality.
        labels: Float `[num_held_out, num_values_k]`, one per attribute.
        patience: Epochs without a better figure after which training stops.
    """

    def __init__(
        self, features: Sequence[np.ndarray], labels: Sequence[np.ndarray], patience: int
    ) -> None:
        super().__init__()
        self._features, self._labels, self._patience = features, labels, patience
        self._best: tuple[float, list[np.ndarray], list[float]] | None = None
        self.best_epoch = 0
        self.history: dict[str, list[float]] = {"held_out": []}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        outputs = self.model(self._features)["logits"]
        fitted = [
            fit_temperature(ops.convert_to_numpy(logits), labels)
            for logits, labels in zip(outputs, self._labels, strict=True)
        ]
        loss = sum(loss for _, loss in fitted)
        self.history["held_out"].append(loss)
        if self._best is None or loss < self._best[0]:
            temperatures = [temperature for temperature, _ in fitted]
            self._best = loss, self.model.get_weights(), temperatures
            self.best_epoch = epoch + 1
        elif epoch + 1 - self.best_epoch >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self._best is not None:
            self.model.set_weights(self._best[1])
            self.model.temperatures.assign(self._best[2])
