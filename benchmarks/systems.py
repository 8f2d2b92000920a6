"""The systems that the accuracy benchmark compares, and how a list of theirs is scored."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import Catalogue
from addrl_keras.config import Config
from addrl_keras.metrics import ranking
from benchmarks import ablations
from benchmarks.fitted import Data, K, say

_BATCH = 256


@dataclasses.dataclass(frozen=True)
class System:
    """What makes a list of recommendations for every user.

    Attributes:
        recommend: From a seed to lists, int `[num_users, K]`, of the items' positions in the
            catalogue, -1 where a list is short.
        repeats: Whether other seeds are measured too.
        is_variant: Whether it is the preset's model with one thing changed.
    """

    recommend: Callable[[int], np.ndarray]
    repeats: bool = False
    is_variant: bool = False


def make_systems(preset: str, data: Data) -> dict[str, System]:
    """Makes the systems of a preset, by name.

    Args:
        preset: Name of the preset.
        data: Its data.

    Returns:
        `default`, the preset as it is; `paper`, where there is a preset of the paper's recipe on
        the same data; the baselines; and the ablations of the preset.
    """
    from addrl_keras.baselines import BASELINES
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.presets import PRESETS

    systems = {"default": _make_own(data, data.config, data.catalogue, repeats=True)}
    if f"{preset}-paper" in PRESETS:
        config = get_preset(f"{preset}-paper").model
        systems["paper"] = _make_own(data, config, data.catalogue, repeats=True)
    for name in BASELINES:
        systems[name] = _make_baseline(data, name)
    for name, (config, catalogue) in ablations.make_ablations(data).items():
        # What holds a list under a wish is chosen after the fit, and does not touch neutral lists.
        training = dataclasses.replace(config.training, hold_users=0)
        variant = _make_own(data, dataclasses.replace(config, training=training), catalogue)
        systems[name] = dataclasses.replace(variant, is_variant=True)
    return systems


def _make_own(data: Data, config: Config, catalogue: Catalogue, repeats: bool = False) -> System:
    def recommend(seed: int) -> np.ndarray:
        from addrl_keras import fit

        training = dataclasses.replace(config.training, seed=seed)
        seeded = dataclasses.replace(config, training=training)
        return recommend_as_served(fit(seeded, catalogue, data.interactions, say))

    return System(recommend, repeats)


def _make_baseline(data: Data, name: str) -> System:
    from addrl_keras.baselines import LEARNT, Content, choose_baseline

    def recommend(seed: int) -> np.ndarray:
        content = Content(data.catalogue, data.config.start)
        baseline = choose_baseline(name, data.interactions, K, content, seed, say)
        print(f"{name}: {baseline.hyperparameters}", flush=True)
        users, ranked = ranking.rank_users(
            baseline.score, data.interactions.known, data.test, K, pass_users=True
        )
        lists = np.full((data.test.shape[0], K), ranking.PADDING)
        lists[users] = ranked
        return lists

    return System(recommend, repeats=name in LEARNT)


def recommend_as_served(result: Any) -> np.ndarray:
    """Writes a fitted model's SavedModel and asks its `recommend` for every known user's list.

    Args:
        result: A `FitResult`.

    Returns:
        Int `[num_users, K]`, positions in the catalogue.
    """
    import tensorflow as tf

    from addrl_keras import write_saved_model
    from addrl_keras.signatures import make_neutral_inputs

    catalogue, users = result.catalogue, result.interactions.user_ids
    position = {item.encode(): i for i, item in enumerate(catalogue.item_ids)}
    position[b""] = ranking.PADDING
    config = result.model.config
    neutral = make_neutral_inputs(
        len(config.chunk_names), catalogue.num_items, config.model.target_strength
    )
    inputs = {**neutral["recommend"], "k": tf.constant(K)}
    lists = []
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(result, folder)
        recommend = tf.saved_model.load(folder).signatures["recommend"]
        for start in range(0, len(users), _BATCH):
            answer = recommend(**inputs, user_id=tf.constant(users[start : start + _BATCH]))
            lists += [[position[item] for item in row] for row in answer["item_ids"].numpy()]
    return np.array(lists)


def score_lists(lists: np.ndarray, data: Data) -> dict[str, np.ndarray]:
    """Scores lists user by user: standard NDCG, over the users with a known and a test item.

    Args:
        lists: Int `[num_users, K]`, positions in the catalogue, -1 where a list is short.
        data: What is known and what should be found.

    Returns:
        `recall_at_20` and `ndcg_at_20`, float64 `[users that count]`.

    Raises:
        ValueError: A list has an item that its user is known to have.
    """
    if ranking.compute_hits(lists, data.interactions.known).any():
        raise ValueError("A list has an item that its user is known to have.")
    counted = _find_counted(data)
    relevant = data.test[counted]
    return {
        "recall_at_20": ranking.compute_recall_at_k(lists[counted], relevant),
        "ndcg_at_20": ranking.compute_ndcg_at_k(lists[counted], relevant),
    }


def score_slices(lists: np.ndarray, data: Data) -> list[dict[str, Any]]:
    """Scores lists by how much is known: of the user, and of the items to be found.

    Each is cut into thirds: of the users by the length of their history, and of the test
    interactions by how many users are known to have the item.

    Args:
        lists: As `score_lists` takes them.
        data: Likewise.

    Returns:
        Rows with `by`, `users` or `items`; `third`, 0 for the fewest; `low` and `high`, the
        smallest and largest count in the slice; `size`, users or test interactions in it; and the
        two metrics.
    """
    counted = _find_counted(data)
    known, relevant = data.interactions.known, scipy.sparse.csr_matrix(data.test[counted])
    figures, lengths = score_lists(lists, data), known.getnnz(axis=1)[counted]
    rows = []
    for third, (low, high) in enumerate(cut_in_thirds(lengths)):
        members = (lengths >= low) & (lengths <= high)
        means = {name: float(values[members].mean()) for name, values in figures.items()}
        rows.append(_make_slice("users", third, low, high, members.sum(), means))
    counts = np.asarray(known.sum(axis=0)).ravel().astype(int)
    taken = counts[relevant.indices]
    for third, (low, high) in enumerate(cut_in_thirds(taken)):
        members = (counts >= low) & (counts <= high)
        means = ranking.compute_sliced_metrics(lists[counted], relevant, members, K)
        size = members[relevant.indices].sum()
        rows.append(_make_slice("items", third, low, high, size, means))
    return rows


def cut_in_thirds(counts: np.ndarray) -> list[tuple[int, int]]:
    """Cuts counts into three ranges that hold about as many each; fewer, where many are equal.

    Example:
        >>> cut_in_thirds(np.array([1, 2, 2, 3, 4, 9]))
        [(1, 2), (3, 3), (4, 9)]
    """
    borders = np.quantile(counts, [1 / 3, 2 / 3])
    place = np.searchsorted(borders, counts, side="left")
    parts = [counts[place == number] for number in range(3)]
    return [(int(part.min()), int(part.max())) for part in parts if len(part)]


def _make_slice(
    by: str, third: int, low: int, high: int, size: Any, means: dict[str, float]
) -> dict[str, Any]:
    return {"by": by, "third": third, "low": low, "high": high, "size": int(size), **means}


def _find_counted(data: Data) -> np.ndarray:
    """The users that count, bool `[num_users]`: with a known and a test item."""
    known, test = data.interactions.known, data.test
    return np.asarray((known.getnnz(axis=1) > 0) & (test.getnnz(axis=1) > 0))
