"""TFMA metrics of full-catalogue ranking: exact macro means over users, from one row per test item.

A row is a pair of a user and one of the user's `n` test items, with the 1-based rank of the item in
the whole catalogue, the user's known items left out. As every user has `n` rows, weighting each by
`1/n` turns sums over rows into means over users:

    Recall@k = sum(hit / n) / sum(1 / n)                     hit = [rank <= k]
    NDCG@k   = sum(gain / IDCG(min(k, n))) / sum(1 / n)      gain = hit / log2(rank + 1)
    users    = sum(1 / n)

`IDCG(m) = sum_{i=1..m} 1 / log2(i + 1)`. The same rows can be sliced by anything that is known of
the item or the user. TFMA finds these classes by module and class name (`eval_config.py`).
"""

from collections.abc import Callable, Iterable

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

RANK = "rank"
RELEVANT_COUNT = "relevant_count"

# Value of each row before it is weighted: (rank [rows], relevant count [rows], k) -> [rows].
RowValue = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def compute_recall_rows(rank: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """Compute `hit / n` of each row.

    Args:
        rank: 1-based ranks, `[rows]`.
        relevant: Number of test items of the row's user, `[rows]`.
        k: Length of the list.

    Returns:
        `[rows]`.

    Example:
    >>> compute_recall_rows(np.array([1, 21]), np.array([2, 2]), 20).tolist()
    [0.5, 0.0]
    """
    return (rank <= k) / relevant


def compute_ndcg_rows(rank: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """Compute `gain / IDCG(min(k, n))` of each row.

    Args:
        rank: 1-based ranks, `[rows]`.
        relevant: Number of test items of the row's user, `[rows]`.
        k: Length of the list.

    Returns:
        `[rows]`.

    Example:
    >>> compute_ndcg_rows(np.array([1, 99]), np.array([1, 1]), 20).tolist()
    [1.0, 0.0]
    """
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))
    gain = (rank <= k) / np.log2(rank + 1.0)
    return gain / ideal[np.minimum(relevant, k) - 1]


class MacroRecall(metric_types.Metric):
    """Recall@k, the mean over users.

    Args:
        k: Length of the list.
        name: Name in results, `recall_at_<k>` by default.
        fingerprint: Ignored; a configuration names the code's, so that TFX's cache sees edits.
    """

    def __init__(self, k: int = 20, name: str | None = None, fingerprint: str = ""):
        del fingerprint
        super().__init__(
            metric_util.merge_per_key_computations(_make_recall),
            name=name or f"recall_at_{k}",
            k=k,
        )


class MacroNDCG(metric_types.Metric):
    """NDCG@k with the ideal over min(k, n) items, the mean over users.

    Args:
        k: Length of the list.
        name: Name in results, `ndcg_at_<k>` by default.
        fingerprint: Ignored, see `MacroRecall`.
    """

    def __init__(self, k: int = 20, name: str | None = None, fingerprint: str = ""):
        del fingerprint
        super().__init__(
            metric_util.merge_per_key_computations(_make_ndcg), name=name or f"ndcg_at_{k}", k=k
        )


class Users(metric_types.Metric):
    """Number of users, `sum(1 / n)`; in a slice each user counts by the share of items in it.

    Args:
        name: Name in results.
        fingerprint: Ignored, see `MacroRecall`.
    """

    def __init__(self, name: str = "users", fingerprint: str = ""):
        del fingerprint
        super().__init__(metric_util.merge_per_key_computations(_make_users), name=name)


# TFMA looks at the names of the arguments to find out which of them to pass.
def _make_recall(name, k, model_name="", output_name=""):
    return _make_computations(name, model_name, output_name, k, compute_recall_rows)


def _make_ndcg(name, k, model_name="", output_name=""):
    return _make_computations(name, model_name, output_name, k, compute_ndcg_rows)


def _make_users(name, model_name="", output_name=""):
    return _make_computations(name, model_name, output_name, 1, None)


def _make_computations(
    name: str, model_name: str, output_name: str, k: int, row_value: RowValue | None
) -> list[metric_types.MetricComputation]:
    key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
    combiner = _MacroCombiner(key, k, row_value)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]


class _MacroCombiner(beam.CombineFn):
    """Sums (value, 1/n) over rows. Without a row value, the result is the sum of 1/n alone."""

    def __init__(self, key: metric_types.MetricKey, k: int, row_value: RowValue | None):
        self._key = key
        self._k = k
        self._row_value = row_value

    def create_accumulator(self) -> tuple[float, float]:
        return 0.0, 0.0

    def add_input(
        self, accumulator: tuple[float, float], element: metric_types.StandardMetricInputs
    ) -> tuple[float, float]:
        predictions = element.get_predictions(self._key.model_name or None)
        rank = np.asarray(predictions[RANK], np.float64).ravel()
        relevant = np.asarray(predictions[RELEVANT_COUNT], np.int64).ravel()
        if rank.size and (rank.min() < 1 or relevant.min() < 1):
            raise ValueError(
                "An evaluation row needs a rank and a number of relevant items of at least 1. "
                f"Received: rank {rank.min():g}, relevant_count {relevant.min()}. The model's "
                "signature 'evaluate' returns them."
            )
        value, weight = accumulator
        if self._row_value is not None:
            value += float(self._row_value(rank, relevant, self._k).sum())
        return value, weight + float((1.0 / relevant).sum())

    def merge_accumulators(
        self, accumulators: Iterable[tuple[float, float]]
    ) -> tuple[float, float]:
        values, weights = zip(*accumulators, strict=True)
        return sum(values), sum(weights)

    def extract_output(
        self, accumulator: tuple[float, float]
    ) -> dict[metric_types.MetricKey, float]:
        value, weight = accumulator
        if self._row_value is None:
            return {self._key: weight}
        return {self._key: value / weight if weight else float("nan")}


for _metric in (MacroRecall, MacroNDCG, Users):
    metric_types.register_metric(_metric)
