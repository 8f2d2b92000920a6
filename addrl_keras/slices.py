"""What an evaluation is sliced by: attribute values of the item and activity of the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import Config
from addrl_keras.users import make_constant

Tensor = Any
MISSING = "(missing)"
USER_ACTIVITY = "user_activity"
ITEM_WARMTH = "item_warmth"


class EvaluationSlices(tf.Module):
    """Looks up the slices that a pair of user and item belongs to.

    Args:
        config: The model's configuration.
        catalogue: The items and their known values.
        interactions: Whose known items make a user light, medium or heavy.
    """

    def __init__(self, config: Config, catalogue: Catalogue, interactions: Interactions) -> None:
        super().__init__(name="slices")
        self._values = {
            name: make_constant(fill_rows(catalogue.values[name].rows()))
            for name in config.attribute_names
        }
        self._activity = make_constant(name_activity(np.diff(interactions.known.indptr)))
        counts = np.asarray(interactions.known.sum(axis=0)).ravel()
        self._warmth = make_constant(np.where(counts > 0, "warm", "cold").astype(object))

    def look_up(self, users: Tensor, items: Tensor) -> dict[str, Tensor]:
        """Looks up slices.

        Args:
            users: Int `[batch]`, user index, -1 if unknown.
            items: Int `[batch]`, item index, -1 if unknown.

        Returns:
            Per attribute string `[batch]`, or `[batch, max]` where the attribute is multi-valued;
            `item_warmth`, string `[batch]`, `warm` or `cold`: whether anybody is known to have the
            item; and `user_activity`, string `[batch]`.
        """
        slices = {}
        for name, table in self._values.items():
            values = tf.gather(table, tf.maximum(items, 0))
            values = tf.where(items[:, None] < 0, MISSING, values)
            slices[name] = values[:, 0] if values.shape[1] == 1 else values
        warmth = tf.gather(self._warmth, tf.maximum(items, 0))
        activity = tf.gather(self._activity, tf.maximum(users, 0))
        return {
            **slices,
            ITEM_WARMTH: tf.where(items < 0, "cold", warmth),
            USER_ACTIVITY: tf.where(users < 0, "none", activity),
        }


def fill_rows(rows: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Makes rows of values equally long by repeating the first; an empty one is `(missing)`.

    TFMA counts equal values of a row once, so repeating changes no figure.

    Example:
        >>> fill_rows([("a", "b"), ("c",), ()]).tolist()
        [['a', 'b'], ['c', 'c'], ['(missing)', '(missing)']]
    """
    width = max(1, *(len(row) for row in rows))
    filled = [row or (MISSING,) for row in rows]
    return np.array([row + row[:1] * (width - len(row)) for row in filled], dtype=object)


def name_activity(lengths: np.ndarray) -> np.ndarray:
    """Names each user's activity by thirds of the users: `light`, `medium` or `heavy`."""
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    names = np.where(lengths <= low, "light", np.where(lengths <= high, "medium", "heavy"))
    return names.astype(object)
