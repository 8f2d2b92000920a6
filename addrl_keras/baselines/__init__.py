"""Recommenders that need no training steps: the bar that a model has to clear."""

from addrl_keras.baselines.base import Baseline
from addrl_keras.baselines.ease import EASE, compute_ease_weights
from addrl_keras.baselines.item_knn import ItemKNN
from addrl_keras.baselines.most_popular import MostPopular
from addrl_keras.baselines.tuning import evaluate_baselines, tune

__all__ = [
    "EASE",
    "Baseline",
    "ItemKNN",
    "MostPopular",
    "compute_ease_weights",
    "evaluate_baselines",
    "tune",
]
