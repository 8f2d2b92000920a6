"""The baselines on a preset's data, computed once and kept beside the run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from addrl_keras.baselines import QUICK, Content, evaluate_baselines
from tfx_pipeline import workspace
from tfx_pipeline.commands.errors import CommandError
from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.datasets.loading import load_interactions, load_table
from tfx_pipeline.fingerprint import compute_module_fingerprint

# What the model calls the absent and the rare values when an evaluation is sliced by them.
MISSING = "(missing)"
OTHER = "(other)"
CONTENT_BLEND = "content_blend"
_CODE = (
    "addrl_keras.baselines",
    "addrl_keras.metrics.ranking",
    "addrl_keras.catalogue",
    "tfx_pipeline.datasets.loading",
    __name__,
)
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})(?:(?:-|\.\.)(?P<high>{_NUMBER}))?\Z")


def load_baselines(
    config: PipelineConfig,
    place: workspace.Workspace,
    slices: Mapping[str, Sequence[str]] | None = None,
    report: Callable[[str], None] = lambda line: None,
    names: Iterable[str] = QUICK,
) -> dict[str, Any]:
    """Loads what the baselines reach on the test split, or computes it.

    Args:
        config: The pipeline's configuration.
        place: The folder of the preset, with the canonical tables.
        slices: Values by attribute to measure the baselines on, besides all items.
        report: Called with a line before anything is computed, and for each baseline that is left
            out because the machine cannot hold its matrices.
        names: Which baselines.

    Returns:
        See `addrl_keras.baselines.evaluate_baselines`.

    Raises:
        DataError: There are no canonical tables.
        CommandError: A baseline needs the content of the items
            and no version is pushed.
    """
    names = tuple(names)
    slices = {name: list(values) for name, values in (slices or {}).items()}
    fingerprint = compute_data_fingerprint(place, f"{config.k} {slices}")
    kept = workspace.load_json(place.baselines)
    found: dict[str, Any] = {}
    if isinstance(kept, dict) and kept.get("fingerprint") == fingerprint:
        found = kept.get("baselines") or {}
    # The blend rests on more than the tables; it is quick, and measured anew each time.
    missing = [name for name in names if name not in found or name == CONTENT_BLEND]
    if missing:
        report("measuring the baselines ...")
        found = {**found, **_measure(config, place, slices, missing, report)}
        workspace.write_json(place.baselines, {"fingerprint": fingerprint, "baselines": found})
    return {name: found[name] for name in names if name in found}


def _measure(
    config: PipelineConfig,
    place: workspace.Workspace,
    slices: Mapping[str, Sequence[str]],
    names: Sequence[str],
    report: Callable[[str], None],
) -> dict[str, Any]:
    items = load_table(place.data, "items")
    order = np.argsort(np.array(items["item_id"], dtype=object))
    item_ids = tuple(items["item_id"][i] for i in order)
    interactions, test = load_interactions(place.data, item_ids)
    columns = {a.name: a.column for a in config.model.attributes}
    members = {
        name: match_values([items[columns[name]][i] for i in order], values)
        for name, values in slices.items()
    }
    content = _load_content(config, place, item_ids) if CONTENT_BLEND in names else None
    return evaluate_baselines(interactions, test, config.k, members, names, content, report)


def _load_content(
    config: PipelineConfig, place: workspace.Workspace, item_ids: tuple[str, ...]
) -> Content:
    """Loads the items' content as the newest pushed model was fitted on it."""
    from tfx_pipeline.index.extras import load_extras  # Keras, for which one waits.

    versions = place.list_versions()
    if not versions:
        raise CommandError(
            f"{place.serving} holds no version, and {CONTENT_BLEND} rests on the content that the "
            f"model was fitted on. Train with `addrl run {place.preset}`."
        )
    catalogue = load_extras(place.serving / str(versions[0])).result.catalogue
    if catalogue.item_ids != item_ids:
        raise CommandError(
            f"The items of version {versions[0]} are not those of the tables, as after `addrl "
            f"index add`. Roll it back, or train again with `addrl run {place.preset}`."
        )
    return Content(catalogue, config.model.start)


def match_values(column: Sequence[Any], values: Sequence[str]) -> dict[str, np.ndarray]:
    """Tells which items have each value, by the names under which the model reports values.

    Args:
        column: One entry an item: a number, a string, a list of them, or None.
        values: Names: a category, a range of numbers such as `<=1971`, `1972-1993` or `>=1998`,
            `(missing)`, or `(other)` for every category without a name of its own.

    Returns:
        For each value bool `[num_items]`.

    Example:
        >>> match_values([1960, None, 1999], ["<=1971", "(missing)"])["<=1971"].tolist()
        [True, False, False]
    """
    entries = [entry if isinstance(entry, list) else [entry] for entry in column]
    entries = [[v for v in entry if v is not None and v != ""] for entry in entries]
    named = set(values)

    def has(entry: list[Any], value: str) -> bool:
        if value == MISSING:
            return not entry
        if value == OTHER:
            return any(str(v) not in named for v in entry)
        return any(_matches(v, value) for v in entry)

    return {
        value: np.array([has(entry, value) for entry in entries], dtype=bool) for value in values
    }


def parse_range(name: str) -> tuple[float, float] | None:
    """Returns the bounds of a range's name, None for a name that is no range.

    Example:
        >>> parse_range("<=1971"), parse_range("1972-1993"), parse_range("Comedy")
        ((-inf, 1971.0), (1972.0, 1993.0), None)
    """
    infinity = float("inf")
    found = _RANGE.match(name.removeprefix("<=").removeprefix(">="))
    if not found:
        return None
    low = float(found["low"])
    if name.startswith("<="):
        return -infinity, low
    if name.startswith(">="):
        return low, infinity
    return low, float(found["high"] or low)


def _matches(value: Any, name: str) -> bool:
    bounds = None if isinstance(value, str) else parse_range(name)
    return str(value) == name if bounds is None else bounds[0] <= value <= bounds[1]


def compute_data_fingerprint(place: workspace.Workspace, settings: str) -> str:
    """Computes a fingerprint of the tables, the settings and the code of the baselines."""
    digest = hashlib.sha256(settings.encode())
    digest.update(compute_module_fingerprint(*_CODE).encode())
    for file in sorted(place.data.glob("**/*.parquet")):
        digest.update(file.relative_to(place.data).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
