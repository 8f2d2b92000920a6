"""The schemas of a project's canonical tables, as the data gate reads them."""

from tfx_pipeline.datasets.table_options import TableOptions
from tfx_pipeline.proposals.proposal import Proposal

_TYPES = {"floats": "FLOAT", "int64s": "INT", "string": "BYTES", "strings": "BYTES"}
# How much fewer values than today there may be before the gate stops a run.
_SLACK = 0.8
# How far a column may be from what the model in service was trained on before a run tells it.
_DRIFT = "  drift_comparator {{ jensen_shannon_divergence {{ threshold: {threshold} }} }}\n"
# Of numbers in quantiles: in bins of equal width one outlier would put all others into one bin.
_OF_VALUES, _OF_NUMBERS = "0.1", "0.15 source { type: QUANTILES }"
_SIZES = (
    "# Fewer or more rows than this, in proportion to those that the model in service was trained "
    "on, are told.\ndataset_constraints {\n  num_examples_drift_comparator { "
    "min_fraction_threshold: 0.5 max_fraction_threshold: 2.0 }\n}\n"
)


def render_items_schema(proposal: Proposal) -> str:
    """Render the schema of the items.

    Args:
        proposal: What was found; columns may later miss more values than today, within limits.

    Returns:
        The text of `items.pbtxt`.
    """
    title = "" if not proposal.options.items.title else _presence(0.0)
    parts = [
        f"# The canonical items of this project. Values may become rarer by {1 - _SLACK:.0%} until "
        "the data gate\n# stops a run; change `presence` or add a `feature` where your data "
        "change for good.\n",
        _feature("item_id", "string", _presence(1.0)),
        _feature("title", "string", title),
    ]
    # Values of a short list can drift; texts, photos and ids are all different.
    compared = {each.column for each in (*proposal.attributes, *proposal.others)}
    for name, kind in proposal.options.columns.items():
        threshold = _OF_VALUES if _TYPES.get(kind, "FLOAT") == "BYTES" else _OF_NUMBERS
        drift = _DRIFT.format(threshold=threshold) if name in compared else ""
        aggregate = proposal.options.aggregates.get(name)
        if aggregate and aggregate.function == "count":
            domain = "  int_domain { min: 0 }\n"
            parts.append(_feature(name, kind, _presence(1.0), domain + drift))
            continue
        share = 1.0 - proposal.missing[name] if name in proposal.missing else 0.0
        parts.append(_feature(name, kind, _presence(int(100 * _SLACK * share) / 100), drift))
    return "".join([*parts, _SIZES])


def render_interactions_schema(options: TableOptions) -> str:
    """Render the schema of the interactions.

    Args:
        options: What the adapter is told.

    Returns:
        The text of `interactions.pbtxt`.
    """
    parts = [
        "# The canonical interactions of this project: one row per pair of a user and an item.\n",
        _feature("user_id", "string", _presence(1.0)),
        _feature("item_id", "string", _presence(1.0)),
    ]
    if options.interactions.time:
        parts.append(_feature("timestamp", "int64s"))
    if options.interactions.weight:
        parts.append(_feature("weight", "floats"))
    return "".join([*parts, _SIZES])


def _presence(share: float) -> str:
    return f"  presence {{ min_fraction: {share:g} min_count: 1 }}\n"


def _feature(name: str, kind: str, presence: str = "", more: str = "") -> str:
    count = "min: 1" if kind in ("strings", "vector") else "min: 1 max: 1"
    return (
        f'feature {{\n  name: "{name}"\n  type: {_TYPES.get(kind, "FLOAT")}\n{presence}'
        f"  value_count {{ {count} }}\n{more}}}\n"
    )
