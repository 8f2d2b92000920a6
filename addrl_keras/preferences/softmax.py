"""Softmax over the whole catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from addrl_keras.losses.preference import history_softmax_of_pairs

if TYPE_CHECKING:
    from addrl_keras.training_step import Step

IS_DENSE = True


def compute_loss(step: Step) -> Any:
    """Computes the cross-entropy of the targets over all items that are not in the history."""
    return history_softmax_of_pairs(step.score_catalogue(), step.history, step.targets)
