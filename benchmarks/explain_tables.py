"""The tables of docs/explain-and-steer.md, out of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.accuracy_tables import NOT_MEASURED
from benchmarks.provenance import load_result

_ORDERS = {"claimed": "as claimed", "random": "at random", "reverse": "in reverse"}
_SYSTEMS = {
    "boost": "re-ranking",
    "want": "wish",
    "want_hold": "wish, rest held",
    "no_terms": "the same, fitted without the terms",
}
_TERMS = {
    "all_terms": "all three terms",
    "no_intra": "without L_intra",
    "no_inter": "without L_inter",
    "value_alone": "L_low alone",
    "no_value": "without L_low",
    "no_terms": "without all three",
}
_PROBED = {
    "default": "**AD-DRL**",
    "start": "AD-DRL before training",
    **{name: f"AD-DRL, {title}" for name, title in _TERMS.items()},
    "paper": "the paper's recipe, 30 passes",
    "macrid_vae": "MacridVAE, a concept for each attribute",
    "rotated": "AD-DRL, rotated",
    "svd": "SVD of the interactions",
    "untrained": "the same architecture, random weights",
    "noise": "random vectors",
}
_HIDDEN = {
    **_TERMS,
    "probe_on_all_content": "probe on all content",
    "most_frequent_value": "most frequent value",
}


def make_faithfulness() -> str:
    """Deletion and insertion of chunks."""
    result = load_result("explain")
    lines: list[str] = []
    for data, found in result["presets"].items():
        count = len(found["chunks"]["deletion"]["claimed"])
        lines += _make_head(f"{data}, after so many chunks", [*map(str, range(count)), "area"])
        for kind, curves in found["chunks"].items():
            for order, curve in curves.items():
                area = np.mean(curve)
                lines.append(
                    f"| {kind}, {_ORDERS[order]} | {' | '.join(f'{v:.3f}' for v in curve)} "
                    f"| {area:.3f} |"
                )
    return "\n".join([*lines[1:], "", _describe(result)])


def make_past() -> str:
    """Deletion of past items."""
    result = load_result("explain")
    lines: list[str] = []
    for data, found in result["presets"].items():
        past = found["past"]
        lines += _make_head(f"{data}, after so many past items", map(str, past["counts"]))
        lines += [
            f"| {title} | {' | '.join(f'{value:.3f}' for value in past[order])} |"
            for order, title in _ORDERS.items()
        ]
    return "\n".join([*lines[1:], "", _describe(result)])


def make_preferences() -> str:
    """The value that a user likes most, on the test."""
    result = load_result("explain")
    lines = [
        "| data | attribute | profile | counting the history | base rate |",
        "|---|---|---|---|---|",
    ]
    for data, found in result["presets"].items():
        for attribute, row in found["preferences"].items():
            lines.append(
                f"| {data} | {attribute} | {row['profile']:.3f} | {row['counting']:.3f} "
                f"| {row['base_rate']:.3f} |"
            )
    return "\n".join([*lines, "", _describe(result)])


def make_control() -> str:
    """Recall and drift at equal shares of what is wanted; of a filter, which has one, in all."""
    result = load_result("control")
    lines = _make_head("data", ["attribute", "share", *_SYSTEMS.values(), "filter, all wanted"])[1:]
    better = total = 0
    for data, attributes in result["presets"].items():
        for attribute, found in attributes.items():
            for row in found["compared"]:
                share = f"{row['share']:.2f}{' (full)' if row['is_full'] else ''}"
                cells = [_word_point(row.get(name)) for name in _SYSTEMS]
                cells.append(_word_point(found["curves"]["filter"][0] if row["is_full"] else None))
                lines.append(f"| {data} | {attribute} | {share} | {' | '.join(cells)} |")
                held, boost = row["want_hold"], row["boost"]
                total += 1
                better += held["recall"] > boost["recall"] and held["drift"] < boost["drift"]
    real = [
        f"{data} {attribute}"
        for data, attributes in result["presets"].items()
        for attribute, found in attributes.items()
        if found["at_full"]["recall"]["is_real"] and found["at_full"]["recall"]["difference"] > 0
    ]
    lower = [
        f"{data} {attribute}"
        for data, attributes in result["presets"].items()
        for attribute, found in attributes.items()
        if found["at_full"]["drift"]["is_real"] and found["at_full"]["drift"]["difference"] < 0
    ]
    note = (
        f"Held wishes are better than re-ranking on both figures in {better} of {total} rows. At "
        "full strength, by a paired bootstrap over users, more recall is real for "
        f"{', '.join(real) or 'none'}; less drift for {', '.join(lower) or 'none'}. "
        f"{_word_users(result)}; {_describe(result)}"
    )
    return "\n".join([*lines, "", note])


def _word_point(point: Mapping[str, float] | None) -> str:
    return f"{point['recall']:.4f} / {point['drift']:.3f}" if point else ""


def _word_users(result: Mapping[str, Any]) -> str:
    counts = [
        found["num_users"]
        for attributes in result["presets"].values()
        for found in attributes.values()
    ]
    return f"{min(counts):,} to {max(counts):,} wishing users"


def make_probes() -> str:
    """What each chunk tells of each attribute."""
    result = load_result("disentanglement")
    lines: list[str] = []
    for data, found in result["presets"].items():
        names = found["attributes"]
        lines += _make_head(f"{data}, chunk", names)
        rows = found["systems"]["default"]
        for chunk in rows[0]["probes"]:
            cells = []
            for name in names:
                told = np.mean([row["probes"][chunk][name] for row in rows])
                floor = found["floor"].get(chunk, found["majority"])[name]
                cells.append(f"{told:.3f} (floor {floor:.3f})")
            lines.append(f"| {chunk} | {' | '.join(cells)} |")
    note = "The floor of residual and memory is the most frequent value."
    return "\n".join([*lines[1:], "", f"{note} {_describe(result)}"])


def make_known() -> str:
    """The pair that is furthest above its floor, and the same where the label is known."""
    result = load_result("disentanglement")
    presets = {
        data: found
        for data, found in result["presets"].items()
        if any("known" in row for row in found["systems"]["default"])
    }
    if not presets:
        return NOT_MEASURED
    lines = [
        "| data | chunk tells | of all items | of items with one value of the chunk's attribute |",
        "|---|---|---|---|",
    ]
    for data, found in presets.items():
        rows = [row for row in found["systems"]["default"] if "known" in row]
        pairs = [(own, other) for own, others in rows[0]["known"].items() for other in others]
        told = [np.mean([row["probes"][own][other] for row in rows]) for own, other in pairs]
        floors = [found["floor"][own][other] for own, other in pairs]
        worst = int(np.nanargmax(np.subtract(told, floors)))
        own, other = pairs[worst]
        known = {
            part: np.mean([row["known"][own][other][part] for row in rows])
            for part in ("told", "floor", "num_items")
        }
        lines.append(
            f"| {data} | {own}: {other} | {told[worst]:.3f} (floor {floors[worst]:.3f}) "
            f"| {known['told']:.3f} (floor {known['floor']:.3f}), {known['num_items']:,.0f} items |"
        )
    return "\n".join([*lines, "", _describe({**result, "presets": presets})])


def make_dci() -> str:
    """DCI and the diagonal, beside controls."""
    result = load_result("disentanglement")
    lines = [
        "| data | vectors | disentanglement | completeness | own attribute | other attributes "
        "| Recall@20 |",
        "|---|---|---|---|---|---|---|",
    ]
    for data, found in result["presets"].items():
        for system, title in _PROBED.items():
            rows = found["systems"].get(system, [])
            if not rows:
                continue
            own, others = zip(*(_split(row["probes"]) for row in rows), strict=True)
            recalls = [row["recall_at_20"] for row in rows if row["recall_at_20"] is not None]
            dci = [
                f"{np.mean([row['dci'][part] for row in rows]):.3f}"
                for part in ("disentanglement", "completeness")
            ]
            recall = f"{np.mean(recalls):.4f}" if recalls else ""
            lines.append(
                f"| {data} | {title} | {dci[0]} | {dci[1]} | {np.mean(own):.3f} "
                f"| {np.mean(others):.3f} | {recall} |"
            )
    note = "Means over seeds and attributes"
    kept = {name for found in result["presets"].values() for name in found["systems"]}
    parts = {
        "other terms than the preset's": _TERMS,
        "the paper's recipe": ("paper",),
        "MacridVAE": ("macrid_vae",),
    }
    first = [words for words, names in parts.items() if kept.intersection(names)]
    note += f"; with the first seed: {', '.join(first)}." if first else "."
    once = [
        f"{_PROBED[system].strip('*')} on {data}"
        for data, found in result["presets"].items()
        for system, rows in found["systems"].items()
        if any("splits" not in row for row in rows)
    ]
    if once:
        note += f" Probed on one split of the items: {', '.join(once)}."
    return "\n".join([*lines, "", f"{note} {_describe(result, 'systems')}"])


def make_not_linear() -> str:
    """What a network and boosted trees read from the chunks."""
    result = load_result("disentanglement")
    lines: list[str] = []
    for data, found in result["presets"].items():
        if "not_linear" not in found:
            continue
        names = found["attributes"]
        lines += _make_head(f"{data}, chunk", names)
        for chunk, linear in found["not_linear"]["linear"].items():
            cells = []
            for name in names:
                told = [f"{linear[name]:.3f}"]
                for probe in ("network", "trees"):
                    value = found["not_linear"][probe][chunk].get(name)
                    told.append("" if value is None else f"{value:.3f}")
                cells.append(" / ".join(told))
            lines.append(f"| {chunk} | {' | '.join(cells)} |")
    return "\n".join([*lines[1:], "", _describe(result)]) if lines else NOT_MEASURED


def make_training() -> str:
    """What gradient steps do to the chunks, epoch by epoch."""
    result = load_result("disentanglement")
    lines = [
        "| data | after epoch | own attribute, worst | residual above guessing, worst "
        "| validation Recall@20 |",
        "|---|---|---|---|---|",
    ]
    for data, found in result["presets"].items():
        for epoch, row in enumerate(found.get("training", [])):
            worst = min(row["own"].values())
            above = max(row["residual"][name] - row["majority"][name] for name in row["own"])
            lines.append(
                f"| {data} | {epoch} | {worst:.3f} | {above:+.3f} | {row['recall_at_20']:.4f} |"
            )
    return "\n".join([*lines, "", _describe(result)])


def make_maps() -> str:
    """How pure the neighbourhoods of items are in the plane."""
    result = load_result("chunk_maps")
    titles = {
        "untrained": "random weights",
        "rotated": "the default's vectors, rotated",
        "default": "default",
        "chance": "chance",
    }
    lines: list[str] = []
    for data, found in result["presets"].items():
        names = list(found["purity"]["chance"])
        lines += _make_head(data, names)
        for system, title in titles.items():
            cells = [f"{found['purity'][system][name]:.2f}" for name in names]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines[1:], "", _describe(result)])


def _split(probes: Mapping[str, Mapping[str, float]]) -> tuple[float, float]:
    """The mean probe of a chunk's own attribute, and of others, over the attributes' chunks."""
    names = list(next(iter(probes.values())))
    own = [probes[name][name] for name in names]
    others = [probes[chunk][name] for chunk in names for name in names if chunk != name]
    return float(np.mean(own)), float(np.mean(others)) if others else float("nan")


def make_hidden() -> str:
    """What is told of values that are hidden."""
    result = load_result("disentanglement")
    lines: list[str] = []
    for data, found in result["presets"].items():
        names = found["attributes"]
        if not found["hidden"]:
            continue
        # Which items are hidden is the seed's, so that rows of other seeds are no comparison.
        seeds = [{row.get("seed") for row in rows} for rows in found["hidden"].values()]
        shared = set.intersection(*seeds)
        if not shared:
            continue
        lines += _make_head(data, names)
        for system, title in _HIDDEN.items():
            rows = [row for row in found["hidden"].get(system, []) if row.get("seed") in shared]
            if not rows:
                continue
            cells: list[Any] = [f"{np.mean([row[name] for row in rows]):.3f}" for name in names]
            words = f"**{title}, the preset's**" if system == found.get("losses") else title
            lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join([*lines[1:], "", _describe(result, "hidden")])


def _make_head(title: str, columns: Iterable[str]) -> list[str]:
    """Makes the head of a table that follows another one."""
    cells = [title, *columns]
    return ["", f"| {' | '.join(cells)} |", f"|{'---|' * len(cells)}"]


def _describe(result: Mapping[str, Any], rows: str | None = None) -> str:
    """Says where figures come from; `rows` is the part of a preset whose rows may say it apart."""
    provenance = result["provenance"]
    # What was measured preset by preset names its own commit and seeds.
    parts = result["presets"].values()
    sources = [{**provenance, **part} for part in parts]
    for part in parts if rows else ():
        each = (row for system in part.get(rows, {}).values() for row in system)
        sources += [{**provenance, **row} for row in each if "commit" in row]
    commits, machines = (sorted({each[name] for each in sources}) for name in ("commit", "machine"))
    numbers = sorted({n for part in parts for n in part.get("seeds", provenance.get("seeds", ()))})
    seeds = f" seeds {', '.join(map(str, numbers))};" if numbers else ""
    counts = [
        f"{data} {found[name]:,} {name[4:]}"
        for data, found in result["presets"].items()
        for name in ("num_users", "num_items")
        if name in found
    ]
    sizes = f"{', '.join(counts)}; " if counts else ""
    return f"{sizes}commit {', '.join(commits)};{seeds} {', '.join(machines)}."
