"""The table of metrics: the model beside the baselines, overall and in two slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_pipeline.configs import PipelineConfig

NUM_SLICES = 2
BASELINE_NAMES = {
    "most_popular": "most popular",
    "item_knn": "ItemKNN",
    "ease": "EASE",
    "content_blend": "closed-form blend with content",
    "tfrs_two_tower": "two-tower of the TFRS tutorial",
    "keras_rs_two_tower": "two-tower of the keras-rs example",
    "macrid_vae": "MacridVAE",
}


def choose_slices(
    config: PipelineConfig, slices: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    """Chooses the attributes with the fewest values, whose tables are short enough to read.

    Args:
        config: The pipeline's configuration.
        slices: Metrics by attribute and value.

    Returns:
        Values by attribute, in the order of the configuration.
    """
    names = [a.name for a in config.model.attributes if slices.get(a.name)]
    chosen = sorted(names, key=lambda name: len(slices[name]))[:NUM_SLICES]
    kinds = {a.name: a.kind for a in config.model.attributes}
    return {
        name: sorted(slices[name], key=_sort_bins)
        if kinds[name] == "numeric"
        else list(slices[name])
        for name in names
        if name in chosen
    }


def make_metrics_tables(
    config: PipelineConfig,
    metrics: Mapping[str, float] | None,
    slices: Mapping[str, Any],
    baselines: Mapping[str, Any],
) -> list[Any]:
    """Makes the tables of a run: one overall, one for each chosen slice.

    Args:
        config: The pipeline's configuration.
        metrics: The model's metrics over all test users; None to leave the model out.
        slices: The model's metrics by attribute and value.
        baselines: What `load_baselines` returned.

    Returns:
        `rich` tables.
    """
    from tfx_pipeline import tables

    recall, ndcg = f"recall_at_{config.k}", f"ndcg_at_{config.k}"
    systems = [] if metrics is None else [("AD-DRL", metrics)]
    systems += [(BASELINE_NAMES[name], found) for name, found in baselines.items()]
    rows = [[name, _figure(found.get(recall)), _figure(found.get(ndcg))] for name, found in systems]
    headings = (f"Recall@{config.k}", f"NDCG@{config.k}")
    made = [tables.make_rows_table("Test users, all items", ("system", *headings), rows)]
    for attribute in config.model.attributes:
        values = choose_slices(config, slices).get(attribute.name, [])
        rows = [
            [
                value,
                f"{slices[attribute.name][value].get('users', float('nan')):.0f}",
                _figure(slices[attribute.name][value].get(recall)),
                *(
                    _figure(b["slices"].get(attribute.name, {}).get(value, {}).get(recall))
                    for b in baselines.values()
                ),
            ]
            for value in values
        ]
        if rows:
            title = f"Recall@{config.k} by {attribute.heading} of the test items"
            columns = (attribute.heading, "users", "AD-DRL")
            names = (BASELINE_NAMES[name] for name in baselines)
            made.append(tables.make_rows_table(title, (*columns, *names), rows))
    return made


def _figure(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.4f}"


def _sort_bins(name: str) -> tuple[int, float]:
    """Orders `<=1971`, `1972-1993`, `>=1998`, and what is no range at the end."""
    from tfx_pipeline.commands.baselines import parse_range

    bounds = parse_range(name)
    return (1, 0.0) if bounds is None else (0, bounds[0])
