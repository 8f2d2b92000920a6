"""Measures items that training has never seen: attached by content, ranked for users of today.

    python -m benchmarks.new_items hm      # after `addrl run hm --data DIR`

A tenth of the items, by the md5 of their id, is taken out of training entirely. The model is fitted
on the others and given the tenth afterwards (`addrl_keras.attach`), with the attribute values that
do not come from purchases. Vocabularies and word weights are those of the whole catalogue, which
knows the new items' texts and none of their purchases. Three figures of every system: the test
purchases of new items ranked among the new items alone and in the whole catalogue, and all test
purchases in the whole catalogue.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.attach import attach_items
from addrl_keras.catalogue import Catalogue, Interactions, binarize, compute_similarity
from addrl_keras.config import Config
from addrl_keras.training import FitResult, fit
from benchmarks.fitted import Data, Scores, compute_bucket, load_data, score_ranking, take_items
from benchmarks.provenance import ROOT, make_provenance, write_result

SEEDS = (0, 1, 2)
# Attributes that are counted on purchases, which a new item has none of.
FROM_PURCHASES = {"hm": ("price", "popularity"), "toys": ("popularity",)}
_NEIGHBOUR_POWER = 4.0


@dataclasses.dataclass(frozen=True)
class Split:
    """The catalogue in two: what training sees, and what is attached afterwards.

    Attributes:
        old: Catalogue of the items to train on.
        new: Catalogue of the items to attach.
        interactions: Train and validation over the old items.
        known: Binary CSR `[num_users, num_items]`, old items first, then new ones.
        test: Likewise.
    """

    old: Catalogue
    new: Catalogue
    interactions: Interactions
    known: scipy.sparse.csr_matrix
    test: scipy.sparse.csr_matrix


def make_split(data: Data, blank: tuple[str, ...]) -> Split:
    """Takes a tenth of the items out."""
    is_new = np.array([compute_bucket(item) == 0 for item in data.catalogue.item_ids])
    old, new = np.flatnonzero(~is_new), np.flatnonzero(is_new)
    train, validation = (
        binarize(part[:, old]) for part in (data.interactions.train, data.interactions.validation)
    )
    auxiliary = data.interactions.auxiliary
    interactions = Interactions(
        data.interactions.user_ids,
        train,
        validation,
        None if auxiliary is None else binarize(auxiliary[:, old]),
    )
    none = scipy.sparse.csr_matrix((train.shape[0], len(new)), dtype=np.float32)
    return Split(
        take_items(data.catalogue, old),
        take_items(data.catalogue, new, blank),
        interactions,
        scipy.sparse.hstack([interactions.known, none], format="csr"),
        scipy.sparse.hstack([data.test[:, old], data.test[:, new]], format="csr"),
    )


def measure(preset: str, data: Data) -> dict[str, Any]:
    """Measures all systems on one preset's data."""
    split = make_split(data, FROM_PURCHASES.get(preset, ()))
    systems = {name: score_new(split, scores) for name, scores in make_baselines(split).items()}
    configs = {"addrl": data.config}
    for modality in data.config.content_modalities:
        configs[f"addrl without {modality.name}"] = remove_modality(data.config, modality.name)
    for name, config in configs.items():
        runs = []
        # What a modality is worth is far more than what a seed changes; one is enough there.
        for seed in SEEDS if config is data.config else SEEDS[:1]:
            print(f"{name}, seed {seed} ...", flush=True)
            runs.append(score_new(split, fit_and_attach(config, split, seed)))
            print(f"  {runs[-1]}", flush=True)
        systems[name] = {
            figure: {
                metric: {
                    "mean": float(np.mean([run[figure][metric] for run in runs])),
                    "std": float(np.std([run[figure][metric] for run in runs])),
                    "num_seeds": len(runs),
                }
                for metric in ("recall_at_20", "ndcg_at_20")
            }
            for figure in runs[0]
        }
    return {
        "provenance": make_provenance(preset=preset, seeds=list(SEEDS)),
        "num_new_items": split.new.num_items,
        "num_items": split.known.shape[1],
        "num_users": score_new(split, lambda h: np.zeros(h.shape, np.float32), counts=True),
        "systems": systems,
    }


def make_baselines(split: Split) -> dict[str, Scores]:
    """Makes what to compare with: chance, popularity, and nearest neighbours by each content."""
    shape = split.known.shape
    popularity = np.asarray(split.known.sum(axis=0), np.float32).ravel()
    generator = np.random.default_rng(0)
    systems: dict[str, Scores] = {
        "random": lambda history: generator.random(history.shape).astype(np.float32),
        "most popular": lambda history: np.tile(popularity, (history.shape[0], 1)),
    }
    for name, old in split.old.features.items():
        new = split.new.features[name]
        similarity = np.zeros((shape[1], shape[1]), np.float32)
        similarity[: len(split.old.item_ids)] = np.concatenate(
            [compute_similarity(old, old), compute_similarity(old, new)], axis=1
        )
        weights = np.maximum(similarity, 0.0) ** _NEIGHBOUR_POWER
        np.fill_diagonal(weights, 0.0)
        systems[f"nearest by {name}"] = lambda history, weights=weights: history @ weights
    return systems


def fit_and_attach(config: Config, split: Split, seed: int) -> Scores:
    """Fits on the old items and attaches the new ones."""
    training = dataclasses.replace(config.training, seed=seed)
    result = fit(
        dataclasses.replace(config, training=training),
        restrict(split.old, config),
        split.interactions,
    )
    larger: FitResult = attach_items(result, restrict(split.new, config))
    return larger.model.compute_scores


def restrict(catalogue: Catalogue, config: Config) -> Catalogue:
    """Takes away the features of modalities that a configuration does not have."""
    names = [modality.name for modality in config.content_modalities]
    return dataclasses.replace(
        catalogue, features={name: catalogue.features[name] for name in names}
    )


def remove_modality(config: Config, name: str) -> Config:
    """Removes a modality, wherever the configuration names it."""

    def keep(pairs: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
        return tuple(pair for pair in pairs if pair[0] != name)

    start = dataclasses.replace(
        config.start,
        blend=keep(config.start.blend),
        side_information=keep(config.start.side_information),
    )
    new_items = dataclasses.replace(config.new_items, evidence=keep(config.new_items.evidence))
    modalities = tuple(part for part in config.modalities if part.name != name)
    return dataclasses.replace(config, modalities=modalities, start=start, new_items=new_items)


def score_new(split: Split, scores: Scores, counts: bool = False) -> dict[str, Any]:
    """Scores a system three ways.

    Args:
        split: The two halves.
        scores: Histories over all items to scores.
        counts: Return the number of users of each figure instead.
    """
    num_old = split.old.num_items
    of_new = split.test.copy().tolil()
    of_new[:, :num_old] = 0
    of_new = binarize(of_new.tocsr())

    def among_new(history: scipy.sparse.csr_matrix) -> np.ndarray:
        values = np.array(scores(history))
        values[:, :num_old] = -np.inf
        return values

    figures = {
        "among_new": score_ranking(among_new, split.known, of_new),
        "new_in_catalogue": score_ranking(scores, split.known, of_new),
        "all_in_catalogue": score_ranking(scores, split.known, split.test),
    }
    if counts:
        return {name: figure["num_users"] for name, figure in figures.items()}
    for figure in figures.values():
        del figure["num_users"]
    return figures


def main() -> None:
    """Measures a preset and writes `results/new_items_PRESET.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=sorted(FROM_PURCHASES))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    data = load_data(options.preset, options.runs)
    print(write_result(f"new_items_{options.preset}", measure(options.preset, data)))


if __name__ == "__main__":
    main()
