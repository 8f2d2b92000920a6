"""Learning to score as a teacher does."""

from __future__ import annotations

from typing import Any

from keras import ops

from addrl_keras.losses.preference import MASKED_SCORE

Tensor = Any


def distillation(
    scores: Tensor, teacher_scores: Tensor, history: Tensor, power: float = 3.0
) -> Tensor:
    """Computes the softmax cross-entropy of a student against a teacher's scores.

    The teacher's scores become a distribution: history masked, negatives cut at 0, raised to
    `power` and normalised. A higher power puts more of it on the top of the list.

    Args:
        scores: Float `[batch, num_items]`, the student's.
        teacher_scores: Float `[batch, num_items]`; no gradient goes there.
        history: 0/1 `[batch, num_items]`, the items that both saw; they take no part.
        power: Above 0.

    Returns:
        A scalar, averaged over the users for whom the teacher has a score above 0; 0 without any.

    Example:
        >>> teacher = ops.array([[9.0, 2.0, 1.0, -1.0]])
        >>> history = ops.array([[1.0, 0.0, 0.0, 0.0]])
        >>> loss = distillation(ops.zeros((1, 4)), teacher, history)
        >>> round(float(loss), 4)  # log 3, whatever the teacher says: the student is even
        1.0986
    """
    masked = ops.where(history > 0, ops.cast(MASKED_SCORE, scores.dtype), scores)
    wanted = ops.where(history > 0, ops.zeros_like(scores), ops.maximum(teacher_scores, 0.0))
    # Divided first, so that the power of large scores does not overflow.
    top = ops.max(wanted, axis=-1, keepdims=True)
    wanted = (wanted / ops.where(top > 0, top, ops.ones_like(top))) ** power
    total = ops.sum(wanted, axis=-1, keepdims=True)
    wanted = ops.stop_gradient(wanted / ops.maximum(total, 1e-12))
    counts = ops.cast(total[:, 0] > 0, scores.dtype)
    per_user = -ops.sum(wanted * ops.log_softmax(masked, axis=-1), axis=-1)
    return ops.sum(per_user * counts) / ops.maximum(ops.sum(counts), 1.0)
