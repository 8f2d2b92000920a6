"""What the measurements of new items and users share: a run's data, parts of them, and scoring."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import scipy.sparse

from addrl_keras.catalogue import AttributeValues, Catalogue, Features, Interactions
from addrl_keras.config import Config
from addrl_keras.metrics.ranking import compute_ranking_metrics
from addrl_keras.training import FitResult
from benchmarks.provenance import ROOT
from tfx_pipeline import workspace
from tfx_pipeline.configs import get_preset
from tfx_pipeline.datasets import loading
from tfx_pipeline.index.extras import load_extras

K = 20

# A line of progress is seen when it is printed, in a file too.
say = functools.partial(print, flush=True)

Scores = Callable[[scipy.sparse.csr_matrix], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Data:
    """What a pushed model was fitted on, and the test that it has not seen.

    Attributes:
        config: The preset's model.
        catalogue: The items with their values and features, as the Trainer saw them.
        interactions: Train and validation.
        test: Binary CSR `[num_users, num_items]`.
        numbers: Of each numeric attribute, what it is binned from, float `[num_items]`; NaN where
            it is not known.
    """

    config: Config
    catalogue: Catalogue
    interactions: Interactions
    test: scipy.sparse.csr_matrix
    numbers: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Makes the command line of what measures several presets: their names and their runs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="+", help="whose newest pushed version to measure")
    words = "folder of the runs (default: runs)"
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", help=words)
    return parser


def load_data(preset: str, runs: Path) -> Data:
    """Loads the data out of the newest pushed version of a preset.

    Raises:
        SystemExit: There is none, it was not made by the preset as it is now, or it has items that
            were added later.
    """
    place = workspace.Workspace(runs, preset)
    versions = place.list_versions()
    if not versions:
        raise SystemExit(
            f"{place.serving} holds no pushed version. Run `addrl run {preset}` first, or name the "
            "folder of its runs with --runs."
        )
    extras = load_extras(place.serving / str(versions[0]))
    if extras.about.updates:
        raise SystemExit(
            f"The newest version of {preset!r} has items that were added later. Roll it back, or "
            "train again."
        )
    result = extras.result
    config = result.model.config
    check_config(preset, config, get_preset(preset).model)
    interactions, test = loading.load_interactions(place.data, result.catalogue.item_ids)
    numbers = load_numbers(place, config, result.catalogue.item_ids)
    return Data(config, result.catalogue, interactions, test, numbers)


def check_config(preset: str, pushed: Config, current: Config) -> None:
    """Checks that a pushed model was made by the preset as it is now, which a result speaks of.

    Raises:
        SystemExit: It was made by another; names the first option that differs.
    """
    if pushed == current:
        return
    was, now = dataclasses.asdict(pushed), dataclasses.asdict(current)
    path: list[str] = []
    while isinstance(now, dict) or (isinstance(now, tuple) and len(was) == len(now)):
        keys = now if isinstance(now, dict) else range(len(now))
        key = next(key for key in keys if was[key] != now[key])
        path.append(str(key))
        was, now = was[key], now[key]
    raise SystemExit(
        f"The newest version of {preset!r} was trained with other options than the preset has now. "
        f"Received: {'.'.join(path)} = {was!r}, and the preset has {now!r}. Run `addrl run "
        f"{preset}` again."
    )


def load_result_of_run(preset: str, runs: Path) -> FitResult:
    """Loads the fitted model of the newest pushed version of a preset."""
    place = workspace.Workspace(runs, preset)
    return load_extras(place.serving / str(place.list_versions()[0])).result


def load_numbers(
    place: workspace.Workspace, config: Config, item_ids: Sequence[str]
) -> dict[str, np.ndarray]:
    """Loads the numbers of the numeric attributes, in the order of the catalogue."""
    columns = {part.name: part.column for part in config.attributes if part.kind == "numeric"}
    table = pq.read_table(place.data / "items", columns=["item_id", *columns.values()])
    row = {item: i for i, item in enumerate(table["item_id"].to_pylist())}
    order = [row[item] for item in item_ids]
    return {
        name: np.array([_get_number(value) for value in table[column].to_pylist()])[order]
        for name, column in columns.items()
    }


def _get_number(value: float | list[float] | None) -> float:
    """Gets a number out of a cell, which may be a list of one."""
    if isinstance(value, list):
        value = value[0] if value else None
    return float("nan") if value is None else float(value)


def compute_bucket(name: str) -> int:
    """Computes 0..9 from the md5 of an id, the same on every machine."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % 10


def take_items(catalogue: Catalogue, rows: np.ndarray, blank: Sequence[str] = ()) -> Catalogue:
    """Takes some items.

    Args:
        catalogue: All items.
        rows: Int `[num_rows]`, which.
        blank: Attributes whose values are left out, such as what was counted on purchases.
    """
    values = {}
    for name, part in catalogue.values.items():
        matrix = part.matrix[rows]
        if name in blank:
            matrix = scipy.sparse.csr_matrix(matrix.shape, dtype=np.float32)
        values[name] = AttributeValues(part.names, matrix)
    features = {name: part[rows] for name, part in catalogue.features.items()}
    return Catalogue(tuple(catalogue.item_ids[row] for row in rows), values, features)


def drop_features(catalogue: Catalogue, name: str, rows: np.ndarray) -> Catalogue:
    """Takes a modality away from some items."""
    part = clear_rows(catalogue.features[name], rows)
    return dataclasses.replace(catalogue, features={**catalogue.features, name: part})


def clear_rows(matrix: Features, rows: np.ndarray) -> Features:
    """Sets some rows of a matrix, dense or CSR, to zero; returns another."""
    kept = np.ones(matrix.shape[0], np.float32)
    kept[rows] = 0.0
    if isinstance(matrix, np.ndarray):
        return matrix * kept[:, None]
    cleared = scipy.sparse.csr_matrix(scipy.sparse.diags(kept) @ matrix)
    cleared.eliminate_zeros()
    return cleared


def score_ranking(
    scores: Scores,
    known: scipy.sparse.csr_matrix,
    test: scipy.sparse.csr_matrix,
) -> dict[str, float]:
    """Scores a full ranking: means over the users with a known and a test item."""
    figures = compute_ranking_metrics(scores, known, test, K)
    return {name: float(figures[name]) for name in ("recall_at_20", "ndcg_at_20", "num_users")}
