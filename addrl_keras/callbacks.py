"""What watches over training: figures that stay finite, and the best epoch on validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf
from keras import ops

from addrl_keras.config import Config
from addrl_keras.metrics import ranking

Progress = Callable[[str], None]
K = 20


class Keeper(keras.callbacks.Callback):
    """A callback that keeps the best weights so far, and goes back to them when training ends.

    Args:
        progress: Called with a line where training has to end.

    Attributes:
        diverged: What the weights are now is not to be looked at.
    """

    def __init__(self, progress: Progress = lambda line: None) -> None:
        super().__init__()
        self._progress = progress
        self.diverged = False

    @property
    def has_kept(self) -> bool:
        """Whether there is something to go back to."""
        raise NotImplementedError

    def end_diverged(self, message: str) -> None:
        """Ends training, so that a divergence costs the epochs after the best and no more.

        Args:
            message: What diverged, and the remedy.

        Raises:
            FloatingPointError: There is nothing to go back to.
        """
        if not self.has_kept:
            raise FloatingPointError(message)
        self._progress(f"{message}. The best epoch before it is kept.")
        self.diverged = True
        self.model.stop_training = True


class BestWeights(Keeper):
    """Keeps the weights with the best figure. A subclass looks, and calls `keep_if_best`.

    Args:
        patience: Looks without a better figure after which training stops.
        progress: Called with a line where training has to end.

    Attributes:
        best_epoch: Epochs that the kept weights had; 0 is the start.
    """

    def __init__(self, patience: int, progress: Progress = lambda line: None) -> None:
        super().__init__(progress)
        self._patience = patience
        self._best_weights: Any = None
        self._best_figure = -math.inf
        self._looks_since = 0
        self.best_epoch = 0

    @property
    def has_kept(self) -> bool:
        return self._best_weights is not None

    def on_train_end(self, logs: Any = None) -> None:
        if self.has_kept:
            self.model.set_weights(self._best_weights)

    def keep_if_best(self, epochs: int, figure: float) -> None:
        """Keeps the weights where the figure beats every one before, else counts patience.

        Args:
            epochs: Epochs that the weights had.
            figure: What they reach, the higher the better.
        """
        if not self.has_kept or figure > self._best_figure:
            self.best_epoch, self._best_figure = epochs, figure
            self._best_weights, self._looks_since = self.model.get_weights(), 0
            return
        self._looks_since += 1
        if self._looks_since >= self._patience:
            self.model.stop_training = True


class FiniteLosses(keras.callbacks.Callback):
    """Stops training at the first step with a term that is not finite, or weights that are not.

    Args:
        phase: Name of the phase, for the message.
        remedy: What to change, for the message.
        keeper: Goes back to the best weights so far; None where nothing is kept.

    Raises:
        FloatingPointError: A term is NaN or infinite, and there is nothing to go back to. The
            message names the term, the epoch and the step.
    """

    def __init__(
        self,
        phase: str,
        remedy: str,
        keeper: Keeper | None = None,
    ) -> None:
        super().__init__()
        self._phase, self._remedy, self._keeper = phase, remedy, keeper
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        bad = {name: float(v) for name, v in (logs or {}).items() if not math.isfinite(float(v))}
        if bad:
            # The sum of the terms is bad where one is, and says less.
            name = next((name for name in bad if name != "loss"), "loss")
            self._stop(f"{name} {bad[name]} in epoch {self._epoch + 1}, step {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # A last step may leave weights behind that no term has been computed with.
        for weight in self.model.trainable_weights:
            if not self._has_stopped() and not bool(ops.all(ops.isfinite(weight))):
                self._stop(f"a value that is not finite in {weight.path} after epoch {epoch + 1}")

    def _has_stopped(self) -> bool:
        return self._keeper is not None and self._keeper.diverged

    def _stop(self, received: str) -> None:
        message = f"The {self._phase} phase diverged; {self._remedy}. Received: {received}"
        if self._keeper is None:
            raise FloatingPointError(message)
        self._keeper.end_diverged(message)


class Lines(keras.callbacks.Callback):
    """A line per epoch: its terms, and the time that is left.

    Args:
        phase: Name of the phase.
        progress: Called with the line.
        sources: Callbacks with a `history` of figures, whose newest are said too. They must come
            before this one in the list of callbacks.
    """

    def __init__(self, phase: str, progress: Progress, sources: Iterable[Any] = ()) -> None:
        super().__init__()
        self._phase, self._progress, self._sources = phase, progress, tuple(sources)
        self._started = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._progress(
            f"{self._phase}: epoch {epoch + 1} of {self.params['epochs']}, "
            f"{word_terms({**(logs or {}), **_take_newest(self._sources)})}, "
            f"{word_time_left(self._started, epoch + 1, self.params['epochs'])}"
        )


def _take_newest(sources: Iterable[Any]) -> dict[str, float]:
    newest: dict[str, float] = {}
    for source in sources:
        newest |= {name: values[-1] for name, values in source.history.items() if values}
    return newest


def word_terms(logs: Any) -> str:
    """Says loss terms, such as `loss 5.1034, value 0.2012`; their sum comes first."""
    terms = sorted((logs or {}).items(), key=lambda term: term[0] != "loss")
    return ", ".join(f"{name} {float(value):.4f}" for name, value in terms)


def word_time_left(started: float, done: int, total: int) -> str:
    """Says how long the remaining epochs take at the pace of those that are done."""
    seconds = (time.monotonic() - started) / done * (total - done)
    return f"{seconds:.0f} s left" if seconds < 100 else f"{seconds / 60:.0f} min left"


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes the figures of every epoch for TensorBoard.

    Args:
        log_dir: Folder of the event files.
        sources: Callbacks with a `history` of figures, whose newest are written too. They must
            come before this one in the list of callbacks.
    """

    def __init__(self, log_dir: str, sources: Iterable[Any] = ()) -> None:
        super().__init__()
        self._log_dir, self._sources = log_dir, tuple(sources)

    def on_train_begin(self, logs: Any = None) -> None:
        self._writer = tf.summary.create_file_writer(self._log_dir)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        figures |= _take_newest(self._sources)
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if rate is not None:
            figures["learning_rate"] = float(rate)
        with self._writer.as_default(step=epoch + 1):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self._writer.close()


class ValidationNdcg(BestWeights):
    """Measures NDCG@20 on validation before the first epoch and after each; keeps the best.

    `history` holds `ndcg_at_20` and `recall_at_20`, whose first entry is the start, and `loss`,
    which has one entry per epoch of training, so one less.

    Args:
        train: What the user tower encodes, `[num_users, num_items]`.
        validation: What it has to find.
        patience: Epochs without a better figure after which training stops.
        progress: Called with a line per epoch.
        users: Users at most who are asked, spread evenly over all who have something to find.
    """

    def __init__(
        self,
        train: scipy.sparse.csr_matrix,
        validation: scipy.sparse.csr_matrix,
        patience: int,
        progress: Progress = lambda line: None,
        users: int | None = None,
    ) -> None:
        super().__init__(patience, progress)
        self._users = _choose_users(train, validation, users)
        self._train, self._validation = train[self._users], validation[self._users]
        self.history: dict[str, list[float]] = {"ndcg_at_20": [], "recall_at_20": [], "loss": []}

    def on_train_begin(self, logs: Any = None) -> None:
        self._look(0)
        self._progress(f"start: {self._word()}")
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.diverged:
            return
        try:
            self._look(epoch + 1)
        except FloatingPointError as error:  # Weights may be finite, and too large to score with.
            self.end_diverged(f"The tower phase diverged in epoch {epoch + 1}; {error}")
            return
        self.history["loss"].append(float((logs or {})["loss"]))
        left = word_time_left(self._started, epoch + 1, self.params["epochs"])
        self._progress(
            f"epoch {epoch + 1} of {self.params['epochs']}: {word_terms(logs)}, {self._word()}, "
            f"{left}"
        )

    def measure(self, model: Any) -> dict[str, float]:
        """Measures a model as it is: `ndcg_at_20`, `recall_at_20`, `num_users`.

        Raises:
            FloatingPointError: A score is not finite.
        """

        def score(history: scipy.sparse.csr_matrix, rows: np.ndarray) -> np.ndarray:
            return require_finite(model.compute_scores(history, self._users[rows]), model.config)

        return ranking.compute_ranking_metrics(
            score, self._train, self._validation, K, pass_users=True
        )

    def _word(self) -> str:
        ndcg, recall = (self.history[name][-1] for name in ("ndcg_at_20", "recall_at_20"))
        return f"validation NDCG@{K} {ndcg:.4f}, Recall@{K} {recall:.4f}"

    def _look(self, epochs: int) -> None:
        figures = self.measure(self.model)
        for name in ("ndcg_at_20", "recall_at_20"):
            self.history[name].append(figures[name])
        self.keep_if_best(epochs, figures["ndcg_at_20"])


def require_finite(scores: np.ndarray, config: Config) -> np.ndarray:
    """Passes scores on; raises `FloatingPointError` with the remedy where one is not finite."""
    if not np.isfinite(scores).all():
        raise FloatingPointError(
            f"lower training.learning_rate, now {config.training.learning_rate}. "
            "Received: scores that are not finite"
        )
    return scores


def _choose_users(
    train: scipy.sparse.csr_matrix, validation: scipy.sparse.csr_matrix, most: int | None
) -> np.ndarray:
    """Chooses users with something to go by and something to find, int `[num_users]`."""
    counted = np.flatnonzero((np.diff(train.indptr) > 0) & (np.diff(validation.indptr) > 0))
    if most is None or len(counted) <= most:
        return counted
    return counted[np.linspace(0, len(counted) - 1, most).astype(int)]
