"""What baselines share that gradients train: early stopping on validation, then as many passes."""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline
from addrl_keras.catalogue import Interactions
from addrl_keras.metrics.ranking import compute_ranking_metrics

Progress = Callable[[str], None]


@dataclasses.dataclass(kw_only=True)
class LearntBaseline(Baseline):
    """A baseline whose result hangs on a seed.

    Args:
        learning_rate: Of the optimiser.
        epochs: Passes over the data. On validation every `STEP` passes are looked at, up to
            `MAX_EPOCHS`, until `PATIENCE` looks in a row were no better.
        batch_size: Rows per step.
        seed: Of the first weights and the order.
    """

    learning_rate: float = 0.1
    epochs: int = 3
    batch_size: int = 1024
    seed: int = 0

    STEP: ClassVar[int] = 3
    MAX_EPOCHS: ClassVar[int] = 60
    PATIENCE: ClassVar[int] = 4

    def fit(self, known: scipy.sparse.csr_matrix) -> Self:
        """Trains for `epochs` passes. See `Baseline.fit`."""
        model, batches = self._make(known)
        model.fit(batches, epochs=self.epochs, verbose=0, shuffle=False)
        self._keep(model)
        return self

    def validate(
        self, interactions: Interactions, k: int, progress: Progress = lambda line: None
    ) -> tuple[float, Self]:
        """Trains until validation gets worse; the number of passes becomes that of the best.

        Args:
            interactions: What to train and to look at.
            k: Length of the lists.
            progress: Called with a line for each look.

        Returns:
            NDCG@k on validation, and the baseline with that many passes, not fitted.
        """
        own: Any = copy.copy(self)
        model, batches = own._make(interactions.train)
        figures: list[float] = []
        while len(figures) - int(np.argmax(figures or [0])) <= self.PATIENCE:
            model.fit(batches, epochs=self.STEP, verbose=0, shuffle=False)
            own._keep(model)
            found = compute_ranking_metrics(
                own.score, interactions.train, interactions.validation, k, pass_users=True
            )
            figures.append(float(found[f"ndcg_at_{k}"]))
            passes = f"{len(figures) * self.STEP} passes of at most {self.MAX_EPOCHS}"
            progress(f"{self.name}: {passes}, validation NDCG@{k} {figures[-1]:.4f}")
            if len(figures) * self.STEP >= self.MAX_EPOCHS:
                break
        best = int(np.argmax(figures))
        return figures[best], dataclasses.replace(self, epochs=(best + 1) * self.STEP)

    @abc.abstractmethod
    def _make(self, known: scipy.sparse.csr_matrix) -> tuple[Any, Any]:
        """Makes the compiled model and the shuffled batches of a training."""

    @abc.abstractmethod
    def _keep(self, model: Any) -> None:
        """Keeps of a trained model what `score` needs."""
