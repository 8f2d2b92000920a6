"""Recommenders to compare with: the bar that a model has to clear."""

from addrl_keras.baselines.base import Baseline
from addrl_keras.baselines.content_blend import ContentBlend
from addrl_keras.baselines.ease import EASE, compute_ease_weights
from addrl_keras.baselines.item_knn import ItemKNN
from addrl_keras.baselines.keras_rs_two_tower import KerasRsTwoTower
from addrl_keras.baselines.macrid_vae import MacridVAE
from addrl_keras.baselines.most_popular import MostPopular
from addrl_keras.baselines.tfrs_two_tower import TfrsTwoTower
from addrl_keras.baselines.tuning import (
    BASELINES,
    LEARNT,
    QUICK,
    Content,
    choose_baseline,
    evaluate_baselines,
    make_candidates,
    tune,
)

__all__ = [
    "BASELINES",
    "EASE",
    "LEARNT",
    "QUICK",
    "Baseline",
    "Content",
    "ContentBlend",
    "ItemKNN",
    "KerasRsTwoTower",
    "MacridVAE",
    "MostPopular",
    "TfrsTwoTower",
    "choose_baseline",
    "compute_ease_weights",
    "evaluate_baselines",
    "make_candidates",
    "tune",
]
