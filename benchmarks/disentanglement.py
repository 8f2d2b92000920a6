"""What each chunk tells of each attribute, beside controls, on items that no probe has seen.

    python -m benchmarks.disentanglement hm toys --runs RUNS   # writes results/disentanglement.json
    python -m benchmarks.disentanglement hm --only macrid_vae  # and keeps the rest of it

A probe reads attribute `j` from chunk `k`, for all pairs (`addrl_keras.metrics.disentanglement`).
Attributes are correlated by nature, so what the label of `k` alone tells of `j` is the floor of
the pair: no chunk that stands for `k` can tell less. What an item is may not be known: with the
values of 30 % of the items hidden, what the chunk tells of them stands beside the best probe on all
content features together.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse
import scipy.sparse.linalg

from addrl_keras.catalogue import AttributeValues, Catalogue, normalize_rows
from addrl_keras.config import MEMORY, RESIDUAL, Config
from addrl_keras.metrics.disentanglement import compute_dci, split_items
from addrl_keras.metrics.ranking import compute_ranking_metrics
from addrl_keras.probing import (
    Chunks,
    Labels,
    compute_floor,
    compute_majorities,
    get_chunks,
    get_labels,
    get_tower_chunks,
    make_one_hot,
    probe_all,
    select_known,
)
from addrl_keras.training import FitResult
from addrl_keras.watching import get_single_labels
from benchmarks import accuracy
from benchmarks.ablations import PAPER_TERMS
from benchmarks.fitted import Data, K, clear_rows, load_data, make_parser, say, score_ranking
from benchmarks.provenance import load_result, make_provenance, write_result

SEEDS = (0, 1, 2)
# Splits of the items a seed; no two seeds have one in common.
SPLITS = 5
HIDDEN = 0.3
_TREES = 50
# Of the boosted trees; and the values above which an attribute is left to the other probes.
_ROUNDS, _MOST_TREES = 20, 80
# Of the network; and items that there must be to judge a probe on.
_PASSES, _FEWEST = 80, 3
# Passes of gradient training that are looked at.
EPOCHS = 5
PAPER_EPOCHS = 30
# Systems that are trained for long.
LEARNT = ("paper", "macrid_vae")
# The paper's terms, all and fewer: of the whole model, and of the content side for hidden values.
LOSSES = ("all_terms", "no_intra", "no_inter", "value_alone", "no_value", "no_terms")
# Systems that are measured with the first seed alone; for hidden values the terms are with all.
ONCE = (*LEARNT, *LOSSES)
CONTENT_PROBE = "probe_on_all_content"
# What can be measured by itself; what is made from the default is measured with it.
PARTS = ("default", *ONCE, CONTENT_PROBE)
# What is kept of the provenance of each row.
SOURCE = ("commit", "machine")
MOST_FREQUENT = "most_frequent_value"


def measure(
    preset: str, data: Data, seeds: tuple[int, ...], only: Sequence[str] = PARTS
) -> Iterator[dict[str, Any]]:
    """Measures one preset.

    Args:
        preset: Its name.
        data: Its data.
        seeds: The seeds.
        only: What to measure, of `PARTS`.

    Yields:
        After each seed what is found so far: `seeds`; by system the probes, DCI and recall, and of
        the default `known`, the probes where a chunk's own value is known; `hidden`, what is told
        of items whose values are hidden; and beside the default `majority` and `floor`, of the
        labels alone, and with the first seed `not_linear`, by probes that are not, and `training`,
        what gradient steps change.
    """
    labels = get_labels(data.config, data.catalogue)
    found: dict[str, Any] = {**describe(data), "seeds": [], "systems": {}, "hidden": {}}
    majorities: list[dict[str, float]] = []
    floors: list[dict[str, dict[str, float]]] = []
    for seed in seeds:
        fitted: dict[int, FitResult] = {}
        splits = get_splits(seed)
        for name, make in make_systems(preset, data, fitted).items():
            if name in ONCE and seed != seeds[0]:
                continue
            if (name if name in ONCE else "default") not in only:
                continue
            chunks, recall = make(seed)
            row = {
                "seed": seed,
                "recall_at_20": recall,
                "splits": len(splits),
                "probes": {
                    chunk: probe_all(vectors, labels, splits) for chunk, vectors in chunks.items()
                },
            }
            row["dci"] = measure_dci(chunks, labels, seed)
            if name == "default":
                row["known"] = probe_known(chunks, labels, splits)
            if name == "default" and seed == seeds[0]:
                found["not_linear"] = probe_not_linearly(chunks, labels, splits[0])
                print(f"{preset} not linear: {found['not_linear']}", flush=True)
            found["systems"].setdefault(name, []).append(row)
            print(f"{preset} {name} seed {seed}: {_word(row)}", flush=True)
        if "default" in only:
            guessed = guess_hidden(data.catalogue, seed)
            found["hidden"].setdefault(MOST_FREQUENT, []).append({"seed": seed, **guessed})
        for name, config in make_losses(data.config).items():
            if name not in only:
                continue
            told = probe_hidden(config, data.catalogue, seed)
            found["hidden"].setdefault(name, []).append({"seed": seed, **told})
            print(f"{preset} hidden {name} seed {seed}: {told}", flush=True)
        if "default" in only and seed == seeds[0]:
            found["training"] = measure_training(data, labels, fitted[seed])
            print(f"{preset} training: {found['training']}", flush=True)
        if CONTENT_PROBE in only:
            best = probe_content(data.config, data.catalogue, seed)
            found["hidden"].setdefault(CONTENT_PROBE, []).append({"seed": seed, **best})
            print(f"{preset} hidden, probe on all content, seed {seed}: {best}", flush=True)
        found["seeds"].append(seed)
        if "default" in only:
            majorities.append(compute_majorities(labels, splits))
            floors.append(compute_floor(labels, splits))
            found |= average_references(majorities, floors)
        yield found


def describe(data: Data) -> dict[str, Any]:
    """Describes what a preset's rows must share to stand beside each other."""
    return {
        "attributes": list(data.config.attribute_names),
        "num_items": data.catalogue.num_items,
        "losses": name_default(data.config),
    }


def get_splits(seed: int) -> range:
    """Gets the seeds of the splits of the items that a seed's probes are averaged over."""
    return range(SPLITS * seed, SPLITS * (seed + 1))


def probe_known(
    chunks: Chunks, labels: Labels, splits: Sequence[int]
) -> dict[str, dict[str, dict[str, float]]]:
    """Reads the other attributes from each attribute's chunk, where that has exactly one value.

    There the chunk is that value's embedding, so no more than its label tells may be in it.

    Returns:
        By attribute that is known and other attribute: how often the latter is right, `told` by the
        chunk and `floor` by the label; and of how many items, `num_items`.
    """
    found = {}
    for name, own in labels.items():
        others = select_known(labels, name)
        told, floor = (
            probe_all(part, others, splits) for part in (chunks[name], make_one_hot(own))
        )
        found[name] = {
            other: {"told": told[other], "floor": floor[other], "num_items": int((left >= 0).sum())}
            for other, left in others.items()
        }
    return found


def average_references(
    majorities: Sequence[Mapping[str, float]], floors: Sequence[Mapping[str, Mapping[str, float]]]
) -> dict[str, Any]:
    """Averages what labels alone tell over the seeds, as `majority` and `floor`."""
    return {
        "majority": _average(majorities),
        "floor": {name: _average([floor[name] for floor in floors]) for name in floors[0]},
    }


def _average(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}


def make_systems(
    preset: str, data: Data, fitted: dict[int, FitResult]
) -> dict[str, Callable[[int], tuple[Chunks, float | None]]]:
    """Makes what is probed: from a seed to the items' chunks by name, and Recall@20 on test.

    Args:
        preset: Its name.
        data: Its data.
        fitted: Gets the result of `default` by its seed, in place of an earlier one. The others of
            that seed are made from it.

    Returns:
        `default`; `paper`, the paper's recipe after `PAPER_EPOCHS` passes over train, where there
        is a preset of it; `macrid_vae`, whose concepts are named after the attributes that they
        tell most of; the default with other terms, by the names of `make_losses`; `start`, before
        the first gradient step; `untrained`, the same architecture with random weights; and cut
        into chunks of the same widths at random: `rotated`, the default's vectors after a rotation,
        which keeps every score, `svd` of the interactions, and `noise`.
    """
    from addrl_keras import fit
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.presets import PRESETS

    def fit_own(config: Config, seed: int) -> Any:
        training = dataclasses.replace(config.training, seed=seed, hold_users=0)
        config = dataclasses.replace(config, training=training)
        return fit(config, data.catalogue, data.interactions)

    def score(result: Any) -> float:
        # Known users are asked for by what the towers were fitted on: of the paper's recipe that
        # was not fitted again, what came later is in nobody's embedding.
        fitted_on, model = result.fitted_on, result.model
        found = compute_ranking_metrics(
            lambda _, users: model.compute_scores(fitted_on[users], users),
            data.interactions.known,
            data.test,
            K,
            pass_users=True,
        )
        return float(found[f"recall_at_{K}"])

    def own(seed: int) -> tuple[Chunks, float | None]:
        fitted.clear()
        fitted[seed] = fit_own(data.config, seed)
        return get_chunks(fitted[seed].model), score(fitted[seed])

    def paper(seed: int) -> tuple[Chunks, float | None]:
        config = get_preset(f"{preset}-paper").model
        training = dataclasses.replace(config.training, epochs=PAPER_EPOCHS, refit=False)
        result = fit_own(dataclasses.replace(config, training=training), seed)
        return get_chunks(result.model), score(result)

    def macrid_vae(seed: int) -> tuple[Chunks, float | None]:
        from addrl_keras.baselines import MacridVAE

        candidate = MacridVAE(concepts=1 + len(data.config.attributes), seed=seed)
        _, chosen = candidate.validate(data.interactions, K, say)
        baseline = chosen.fit(data.interactions.known)
        found = score_ranking(baseline.score, data.interactions.known, data.test)
        labels = get_labels(data.config, data.catalogue)
        return name_concepts(baseline.get_chunks(), labels, seed), found["recall_at_20"]

    def with_losses(config: Config) -> Callable[[int], tuple[Chunks, float | None]]:
        def make(seed: int) -> tuple[Chunks, float | None]:
            result = fit_own(config, seed)
            return get_chunks(result.model), score(result)

        return make

    def start(seed: int) -> tuple[Chunks, float | None]:
        if not fitted[seed].epochs:
            return get_chunks(fitted[seed].model), score(fitted[seed])  # It has kept its start.
        training = dataclasses.replace(data.config.training, epochs=0)
        result = fit_own(dataclasses.replace(data.config, training=training), seed)
        return get_chunks(result.model), score(result)

    def cut(vectors: np.ndarray, seed: int) -> Chunks:
        """Cuts vectors into chunks of the default's widths, dimensions at random."""
        model = fitted[seed].model
        order = np.random.default_rng(seed).permutation(vectors.shape[1])
        ends = np.cumsum(model.chunk_dims)[:-1]
        names = model.config.chunk_names[: len(model.chunk_dims)]
        parts = np.split(vectors[:, order], ends, axis=1)
        return dict(zip(names, parts, strict=True))

    def svd(seed: int) -> tuple[Chunks, float | None]:
        known = data.interactions.known.astype(np.float32)
        dim = min(sum(fitted[seed].model.chunk_dims), min(known.shape) - 1)
        _, sizes, right = scipy.sparse.linalg.svds(known, k=dim, random_state=seed)
        vectors = (right * sizes[:, None]).T
        missing = sum(fitted[seed].model.chunk_dims) - dim
        return cut(np.pad(vectors, ((0, 0), (0, missing))), seed), None

    def shuffled(seed: int) -> tuple[Chunks, float | None]:
        # A rotation keeps every score and every distance, and mixes what the chunks stand for.
        vectors = np.asarray(fitted[seed].model.item_tower(None))
        generator = np.random.default_rng(seed)
        size = (vectors.shape[1], vectors.shape[1])
        rotation = np.linalg.qr(generator.standard_normal(size))[0]
        return cut(vectors @ rotation, seed), None

    def untrained(seed: int) -> tuple[Chunks, float | None]:
        config = dataclasses.replace(
            data.config,
            start=dataclasses.replace(data.config.start, kind="random"),
            training=dataclasses.replace(data.config.training, epochs=0, content_epochs=0),
        )
        result = fit_own(config, seed)
        return get_chunks(result.model), score(result)

    def noise(seed: int) -> tuple[Chunks, float | None]:
        generator = np.random.default_rng(seed)
        size = (data.catalogue.num_items, sum(fitted[seed].model.chunk_dims))
        return cut(generator.standard_normal(size), seed), None

    return {
        "default": own,
        **({"paper": paper} if f"{preset}-paper" in PRESETS else {}),
        "macrid_vae": macrid_vae,
        **{
            name: with_losses(config)
            for name, config in make_losses(data.config).items()
            if config.losses != data.config.losses
        },
        "start": start,
        "rotated": shuffled,
        "svd": svd,
        "untrained": untrained,
        "noise": noise,
    }


def name_concepts(concepts: Sequence[np.ndarray], labels: Labels, seed: int) -> Chunks:
    """Names vectors that nobody has told an attribute, each after one that it tells, at best.

    Args:
        concepts: Float `[num_items, width]` each, one more than there are attributes.
        labels: The items' values.
        seed: Of the probes.

    Returns:
        The concepts by attribute, so matched that the probes' accuracies add up to the most; and
        the one that is left, as the residual.
    """
    told = np.nan_to_num(
        [list(probe_all(part, labels, get_splits(seed)).values()) for part in concepts]
    )
    rows, columns = scipy.optimize.linear_sum_assignment(-told)
    names = dict(zip(rows.tolist(), (list(labels)[column] for column in columns), strict=True))
    found = {names.get(number, RESIDUAL): part for number, part in enumerate(concepts)}
    return {name: found[name] for name in (*labels, RESIDUAL)}


def probe_not_linearly(chunks: Chunks, labels: Labels, split: int) -> dict[str, Any]:
    """Reads every attribute from every chunk by a small network, and by boosted trees.

    They take long, so there is one split of the items.

    Returns:
        By probe, chunk and attribute the accuracy, of `linear` too, on the same split; of trees
        only attributes of few values, as there is a tree a value in every round.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probes: dict[str, tuple[Any, float]] = {
        "network": (MLPClassifier((64,), max_iter=_PASSES, random_state=split), float("inf")),
        "trees": (
            HistGradientBoostingClassifier(
                max_iter=_ROUNDS, max_leaf_nodes=15, random_state=split, early_stopping=False
            ),
            _MOST_TREES,
        ),
    }
    linear = {chunk: probe_all(part, labels, (split,)) for chunk, part in chunks.items()}
    found: dict[str, Any] = {"linear": linear, **{name: {} for name in probes}}
    for name, (probe, most) in probes.items():
        for chunk, vectors in chunks.items():
            told = {}
            scale = vectors.std(axis=0)
            # As the linear probe: standardised, a dimension that hardly varies would be noise.
            used = vectors[:, scale > 1e-6 * max(1e-12, scale.max())]
            for attribute, values in labels.items() if used.shape[1] else ():
                fitted, rest = split_items(values, split)
                if len(rest) < _FEWEST or len(np.unique(values[fitted])) > most:
                    continue
                pipeline = make_pipeline(StandardScaler(), probe)
                with warnings.catch_warnings():
                    # That its loss still falls after the last pass is no news to anybody.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    pipeline.fit(used[fitted], values[fitted])
                told[attribute] = round(float(pipeline.score(used[rest], values[rest])), 4)
            found[name][chunk] = told
    return found


def measure_training(data: Data, labels: Labels, fitted: FitResult) -> list[dict[str, Any]]:
    """Trains by gradient whatever validation says, and probes after every epoch.

    Args:
        data: The preset's data.
        labels: The items' values.
        fitted: The default, whose seed and content side are taken.

    Returns:
        A row an epoch, the start being the first: `own`, the probe of each attribute from its
        chunk; `residual`, of each from the residual, and `majority`, how often the most frequent
        value is right; and Recall@20 on validation.
    """
    import keras

    from addrl_keras.accounting import account_to_attributes
    from addrl_keras.optimizers import TableAdam
    from addrl_keras.start import make_started_model
    from addrl_keras.training import UserBatches

    config, interactions = fitted.model.config, data.interactions
    seed, train = config.training.seed, interactions.train
    keras.utils.set_random_seed(seed)
    distributions = [part.numpy() for part in fitted.model.item_tower.distributions]
    model = make_started_model(config, data.catalogue, train, distributions, interactions.auxiliary)
    splits = get_splits(seed)
    majority = compute_majorities(labels, splits)
    rows: list[dict[str, Any]] = []

    def look() -> None:
        # As it would be served, were training to end here.
        weights = model.get_weights()
        account_to_attributes(model, data.catalogue)
        chunks = get_tower_chunks(model)
        model.set_weights(weights)
        own = {name: probe_all(chunks[name], {name: labels[name]}, splits)[name] for name in labels}
        figures = compute_ranking_metrics(
            model.compute_scores, train, interactions.validation, K, pass_users=True
        )
        rows.append(
            {
                "own": own,
                "residual": probe_all(chunks[RESIDUAL], labels, splits),
                "majority": majority,
                "recall_at_20": round(float(figures["recall_at_20"]), 4),
            }
        )

    look()
    model.prepare_training(train)
    model.compile(optimizer=TableAdam(config.training.learning_rate))
    batches = UserBatches(train, config.training.batch_size, seed)
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: look())
    model.fit(batches, epochs=EPOCHS, verbose=0, callbacks=[after])
    return rows


def measure_dci(chunks: Chunks, labels: Mapping[str, np.ndarray], seed: int) -> dict[str, float]:
    """Measures DCI over the dimensions of the towers' chunks, by random forests' importances."""
    from sklearn.ensemble import RandomForestClassifier

    vectors = np.concatenate([part for name, part in chunks.items() if name != MEMORY], axis=1)
    columns = []
    for values in labels.values():
        known = np.flatnonzero(values >= 0)
        forest = RandomForestClassifier(
            _TREES, max_depth=12, min_samples_leaf=3, random_state=seed, n_jobs=1
        )
        forest.fit(vectors[known], values[known])
        columns.append(forest.feature_importances_)
    disentanglement, completeness = compute_dci(np.stack(columns, axis=1))
    return {
        "disentanglement": round(disentanglement, 4),
        "completeness": round(completeness, 4),
    }


def make_losses(config: Config) -> dict[str, Config]:
    """Makes the variants of the paper's terms: with all of them, and with fewer."""

    def having(*names: str) -> Config:
        terms = {name: weight if name in names else 0.0 for name, weight in PAPER_TERMS.items()}
        return dataclasses.replace(config, losses=dataclasses.replace(config.losses, **terms))

    terms = (
        ("intra", "inter", "value"),
        ("inter", "value"),
        ("intra", "value"),
        ("value",),
        ("intra", "inter"),
        (),
    )
    return {name: having(*each) for name, each in zip(LOSSES, terms, strict=True)}


def name_default(config: Config) -> str:
    """Names the variant of `make_losses` that a preset is, or nothing."""
    same = [name for name, each in make_losses(config).items() if each.losses == config.losses]
    return same[0] if same else ""


def hide(catalogue: Catalogue, seed: int, share: float = HIDDEN) -> tuple[Catalogue, np.ndarray]:
    """Hides all values of some items; returns the catalogue without them, and the items."""
    generator = np.random.default_rng(seed)
    count = int(share * catalogue.num_items)
    hidden = np.sort(generator.permutation(catalogue.num_items)[:count])
    values = {
        name: AttributeValues(part.names, clear_rows(part.matrix, hidden))
        for name, part in catalogue.values.items()
    }
    return dataclasses.replace(catalogue, values=values), hidden


def probe_hidden(config: Config, catalogue: Catalogue, seed: int) -> dict[str, float]:
    """Fits the content side without some items' values, and reads these from the chunks.

    Returns:
        By attribute the accuracy of the chunk's most probable value on the hidden items.
    """
    from addrl_keras.content import compute_distributions, fit_content_tower

    config = dataclasses.replace(config, training=dataclasses.replace(config.training, seed=seed))
    shown, hidden = hide(catalogue, seed)
    tower, _ = fit_content_tower(config, shown, lambda line: None, None)
    distributions, _ = compute_distributions(config, shown, tower)
    told = {}
    for name, distribution in zip(config.attribute_names, distributions, strict=True):
        labels = get_single_labels(catalogue.values[name].matrix)[hidden]
        known = labels >= 0
        right = distribution[hidden][known].argmax(axis=1) == labels[known]
        told[name] = round(float(right.mean()), 4)
    return told


def guess_hidden(catalogue: Catalogue, seed: int) -> dict[str, float]:
    """Guesses the most frequent of the values that are shown, for the items whose are hidden.

    Returns:
        By attribute how often that is right.
    """
    _, hidden = hide(catalogue, seed)
    found = {}
    for name, part in catalogue.values.items():
        labels = get_single_labels(part.matrix)
        shown, told = np.delete(labels, hidden), labels[hidden]
        frequent = np.bincount(shown[shown >= 0]).argmax()
        found[name] = round(float((told[told >= 0] == frequent).mean()), 4)
    return found


def probe_content(config: Config, catalogue: Catalogue, seed: int) -> dict[str, float]:
    """Reads the hidden values by a logistic regression on all content features together."""
    from sklearn.linear_model import LogisticRegression

    _, hidden = hide(catalogue, seed)
    parts = [
        normalize_rows(catalogue.features[modality.name]) for modality in config.content_modalities
    ]
    features = scipy.sparse.hstack(parts).tocsr()
    shown = np.setdiff1d(np.arange(catalogue.num_items), hidden)
    told = {}
    for name in config.attribute_names:
        labels = get_single_labels(catalogue.values[name].matrix)
        fitted, rest = shown[labels[shown] >= 0], hidden[labels[hidden] >= 0]
        best = 0.0
        # The strength of the regularisation is chosen on the hidden items themselves, in favour of
        # the probe.
        for strength in (1.0, 10.0, 100.0):
            probe = LogisticRegression(C=strength, max_iter=200, random_state=seed)
            probe.fit(features[fitted], labels[fitted])
            best = max(best, float(probe.score(features[rest], labels[rest])))
        told[name] = round(best, 4)
    return told


def _word(row: dict[str, Any]) -> str:
    diagonal = {name: told[name] for name, told in row["probes"].items() if name in told}
    return f"diagonal {diagonal}, {row['dci']}, Recall@20 {row['recall_at_20']}"


def main() -> None:
    """Measures the presets that are named and writes the result."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, help="(default: 0 1 2)")
    words = "these alone; what was measured of the others before stays"
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help=words)
    options = parser.parse_args()
    has_default = "default" in options.only
    before = load_before()
    unknown = [name for name in options.presets if name not in before]
    if unknown and not has_default:
        parser.error(
            f"Nothing of {', '.join(unknown)} is measured yet, which the rest is shown beside. Run "
            f"`python -m benchmarks.disentanglement {' '.join(unknown)} --only default` first."
        )
    data = {name: load_data(name, options.runs) for name in options.presets}
    for name in () if has_default else options.presets:
        for part, now in describe(data[name]).items():
            if before[name][part] != now:
                parser.error(
                    f"What is measured of {name} is of other data: {part} was "
                    f"{before[name][part]!r}. Received: {now!r}. Measure it with `--only default`."
                )
    for name in options.presets:
        seeds = min(len(options.seeds), len(before.get(name, {}).get("seeds", ())))
        # Written after each seed, so that what is measured is kept whatever comes after it.
        for measured in measure(name, data[name], tuple(options.seeds), options.only):
            if has_default and len(measured["seeds"]) < seeds:
                continue  # What is there of the default knows more, until as many are measured.
            print(add(name, measured))


def load_before() -> dict[str, Any]:
    """Loads what is measured already, by preset."""
    try:
        found: dict[str, Any] = load_result("disentanglement")["presets"]
    except FileNotFoundError:
        return {}
    return found


def add(preset: str, measured: Mapping[str, Any]) -> Path:
    """Adds what `measure` found to `results/disentanglement.json`, in place of what is there."""
    provenance, found = make_provenance(), load_before()
    source = {name: provenance[name] for name in SOURCE}
    found[preset] = merge(measured, found.get(preset, {}), source)
    return write_result("disentanglement", {"provenance": provenance, "presets": found})


def merge(
    measured: Mapping[str, Any], before: Mapping[str, Any], source: Mapping[str, str]
) -> dict[str, Any]:
    """Merges a new measurement into an earlier one, which stays where it was not repeated.

    Args:
        measured: A preset's new result.
        before: Its earlier one, or nothing.
        source: Commit and machine of the new one.

    Returns:
        Both; each row of `systems` and `hidden` has its own source. What is not in rows is of the
        labels and the default, and is new, with all that is made from the default, where that is.
    """
    merged = {**measured, **source} if "default" in measured["systems"] else dict(before)
    old_source = {name: before[name] for name in SOURCE if name in before}
    for part in ("systems", "hidden"):
        rows: dict[str, list[dict[str, Any]]] = {}
        for name in {**before.get(part, {}), **measured[part]}:
            new = [{**row, **source} for row in measured[part].get(name, ())]
            old = [{**old_source, **row} for row in before.get(part, {}).get(name, ())]
            # Of the default and what is made from it, seeds belong together.
            is_whole = part == "systems" and name not in ONCE and new
            rows[name] = accuracy.merge([] if is_whole else old, new, "seed")
        merged[part] = rows
    return merged


if __name__ == "__main__":
    main()
